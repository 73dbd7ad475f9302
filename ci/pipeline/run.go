package pipeline

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

// Options say which stages are to run, and where their results are.
type Options struct {
	// Cache is the directory that results are kept in; it is made when it is missing.
	Cache string
	// Slots bounds the stages at work; 0 means one for each processor, and two at least.
	Slots int
	// Only runs these stages and what they need; empty means all.
	Only []string
	// From runs these stages and all that come after one of them again, whatever is cached.
	From []string
	// Keep is how long results stay in the cache that no run has used; 0 means DefaultKeep, less than
	// that for ever.
	Keep time.Duration
	// Report, if set, is called for every event, by one goroutine at a time; it must not block.
	Report func(Event)
	// Now is the clock of the results; nil means time.Now.
	Now func() time.Time
}

// node is a stage in one run.
type node struct {
	*Stage
	result  StageResult
	fresh   bool // what is cached does not count
	users   []*node
	outputs map[string]string // path by name
	held    any
	ready   chan struct{} // closed when users may begin, or will not
	ended   chan struct{} // closed when the result is final
}

// execution is one run.
type execution struct {
	store
	nodes map[string]*node
	slots *semaphore.Weighted
	total int64
	now   func() time.Time
	begin time.Time

	mu   sync.Mutex
	call func(Event)
}

func (g *Graph) execution(o Options) (*execution, []*node, error) {
	for _, names := range [][]string{o.Only, o.From} {
		if err := g.Known(names); err != nil {
			return nil, nil, err
		}
	}
	only := o.Only
	if len(only) == 0 {
		only = g.Names()
	}
	s, err := openStore(o.Cache)
	if err != nil {
		return nil, nil, err
	}
	x := &execution{store: s, nodes: map[string]*node{}, total: int64(o.Slots), now: o.Now, call: o.Report}
	if x.total < 1 {
		x.total = int64(max(2, runtime.NumCPU()))
	}
	if x.now == nil {
		x.now = time.Now
	}
	x.slots, x.begin = semaphore.NewWeighted(x.total), x.now()
	chosen, fresh := g.closure(only), g.after(o.From)
	var order []*node
	for _, stage := range g.stages {
		if !chosen[stage.Name] {
			continue
		}
		n := &node{Stage: stage, fresh: fresh[stage.Name] || stage.Volatile, ready: make(chan struct{}), ended: make(chan struct{})}
		n.result = StageResult{Name: stage.Name, Title: stage.Title, Version: stage.Version, State: Queued, After: stage.before()}
		x.nodes[stage.Name] = n
		order = append(order, n)
		for _, h := range stage.Uses {
			x.nodes[h].users = append(x.nodes[h].users, n)
		}
	}
	return x, order, nil
}

// Run runs the stages that are not cached. The error says that the run could not begin or was
// interrupted; how the stages ended is in the result, whatever the error.
func (g *Graph) Run(ctx context.Context, o Options) (*Result, error) {
	x, order, err := g.execution(o)
	if err != nil {
		return nil, err
	}
	unuse, err := x.use(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { unuse() }()
	var work sync.WaitGroup
	for _, n := range order {
		x.report(Event{Stage: n.Name, State: Queued})
		work.Go(func() { x.drive(ctx, n) })
	}
	work.Wait()
	r := &Result{Began: x.begin.UTC(), Seconds: x.now().Sub(x.begin).Seconds()}
	for _, n := range order {
		r.Stages = append(r.Stages, n.result)
	}
	unuse()
	unuse = func() {}
	if o.Keep == 0 {
		o.Keep = DefaultKeep
	}
	if o.Keep > 0 && ctx.Err() == nil {
		r.Pruned = x.prune(x.now(), o.Keep)
	}
	return r, context.Cause(ctx)
}

func (x *execution) report(e Event) {
	if x.call == nil {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.call(e)
}

// drive takes a stage from the queue to its end.
func (x *execution) drive(ctx context.Context, n *node) {
	defer close(n.ended)
	for _, name := range n.before() {
		if dep := x.nodes[name]; slices.Contains(n.Uses, name) {
			<-dep.ready
		} else {
			<-dep.ended
		}
	}
	if !x.blocked(n) {
		x.perform(ctx, n)
	}
	detail := n.result.Reason
	if n.result.State == Blocked {
		detail = "because of " + n.result.Root
	}
	x.report(Event{Stage: n.Name, State: n.result.State, Detail: detail})
	select {
	case <-n.ready:
	default:
		close(n.ready)
	}
}

// blocked ends a stage that something stands in the way of.
func (x *execution) blocked(n *node) bool {
	for _, name := range n.before() {
		dep := &x.nodes[name].result
		reads := slices.Contains(n.Uses, name) || slices.ContainsFunc(n.Inputs, func(in Input) bool { return in.stage == name })
		switch {
		case dep.State == Failed, dep.State == Unproven && (n.Strict || reads):
			n.result.State, n.result.Root = Blocked, name
		case dep.State == Blocked && (n.result.State != Blocked):
			n.result.State, n.result.Root = Blocked, dep.Root
		}
	}
	if n.result.State == Blocked {
		n.result.Reason = fmt.Sprintf("%s has not held", n.result.Root)
	}
	return n.result.State == Blocked
}

// perform finds the result of a stage, or makes it.
func (x *execution) perform(ctx context.Context, n *node) {
	err := func() error {
		inputs, id, err := x.identify(ctx, n)
		if err != nil {
			return err
		}
		n.result.Inputs, n.result.Key = inputs, id
		n.result.Log = filepath.Join(x.dir, "logs", id+".log")
		again := n.fresh || x.wanted(ctx, n)
		defer func() { // what this run made or took
			if n.result.State.Held() {
				x.touch(id, x.now())
			}
		}()
		if !again && x.cached(ctx, n) {
			return nil
		}
		x.report(Event{Stage: n.Name, State: Waiting})
		unlock, err := x.lock(ctx, id, func() {
			x.report(Event{Stage: n.Name, State: Waiting, Detail: "another run does the same"})
		})
		if err != nil {
			return err
		}
		defer unlock()
		if !again && x.cached(ctx, n) {
			return nil
		}
		return x.execute(ctx, n)
	}()
	if err != nil {
		n.fail(err)
	}
}

// identify finds the digests of a stage's inputs and the key of its result.
func (x *execution) identify(ctx context.Context, n *node) ([]InputDigest, string, error) {
	var all []InputDigest
	for _, in := range n.Inputs {
		d := InputDigest{Name: in.Name, Text: in.Text}
		if in.stage != "" {
			for _, o := range x.nodes[in.stage].result.Outputs {
				if o.Name == in.output {
					d.Digest = o.Digest
				}
			}
		} else {
			var err error
			if d.Digest, err = in.digest(ctx); err != nil {
				return nil, "", fmt.Errorf("input %s: %w", in.Name, err)
			}
		}
		if d.Digest == "" {
			return nil, "", fmt.Errorf("input %s is not known", in.Name)
		}
		all = append(all, d)
	}
	return all, key(n.Stage, all), nil
}

// wanted reports whether a stage has to run for what it holds: one of its users is not cached.
func (x *execution) wanted(ctx context.Context, n *node) bool {
	return slices.ContainsFunc(n.users, func(u *node) bool {
		if u.fresh {
			return true
		}
		_, id, err := x.identify(ctx, u)
		if err != nil {
			return true
		}
		_, ok := x.load(ctx, id)
		return !ok
	})
}

// cached takes a stage's result from the cache, if it is there.
func (x *execution) cached(ctx context.Context, n *node) bool {
	r, ok := x.load(ctx, n.result.Key)
	if ok {
		x.take(n, r, Cached)
	}
	return ok
}

// take makes a record the result of a stage.
func (x *execution) take(n *node, r *record, state State) {
	n.result.State, n.result.Outputs, n.result.Facts = state, r.Outputs, r.Facts
	n.result.Began, n.result.Seconds = r.Began, r.Seconds
	n.outputs = map[string]string{}
	for _, o := range r.Outputs {
		n.outputs[o.Name] = x.object(o.Digest)
	}
}
