package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"slipway.build/slipway/agent/generation"
	"slipway.build/slipway/agent/health"
	"slipway.build/slipway/agent/journal"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/agent/pull"
	"slipway.build/slipway/agent/trust"
)

// transition is the application of one plan.
type transition struct {
	*Applier
	checked  *trust.Checked
	delivery protocol.Delivery

	mu    sync.Mutex // guards entry, which tasks change side by side
	entry journal.Entry
	done  map[string]chan struct{} // by task; closed when it is done
	leave func()                   // gives back the turn to change the node
}

func newTransition(a *Applier, checked *trust.Checked, delivery protocol.Delivery, entry journal.Entry) *transition {
	t := &transition{Applier: a, checked: checked, delivery: delivery, entry: entry, done: map[string]chan struct{}{}}
	for _, task := range checked.Plan.Tasks {
		t.done[task.Name] = make(chan struct{})
		if slices.Contains(entry.TasksDone, task.Name) {
			close(t.done[task.Name])
		}
	}
	return t
}

// run does the steps that are not done yet.
func (t *transition) run(parent context.Context) error {
	if t.entry.Step == journal.Confirmed {
		return t.laterTasks(parent)
	}
	leave, err := t.Turn.Wait(parent, fmt.Sprintf("generation %d is being applied", t.entry.Generation), nil)
	if err != nil {
		return err // not our verdict, either
	}
	defer leave()
	t.leave = leave
	if t.entry.Step == journal.Returning {
		return errors.Join(t.goBack(parent), t.handOver())
	}
	ctx, cancel := t.within(parent)
	defer cancel()
	err = t.insist(ctx, fmt.Sprintf("applying generation %d", t.entry.Generation), func() error { return t.forward(ctx, parent) })
	var later laterError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrRestart):
		return err // its verdict is the other program's
	case parent.Err() != nil:
		return context.Cause(parent) // not our verdict: the agent stops, or a newer plan is here
	case errors.As(err, &later):
		return later.error // reported already; the node itself is well
	default:
		return t.fail(parent, err)
	}
}

// forward does what is left of the way to a confirmed generation. It may be called again after an
// error.
func (t *transition) forward(ctx, parent context.Context) error {
	if err := t.toSwitched(ctx); err != nil {
		return err
	}
	if err := t.handOver(); err != nil {
		return err
	}
	return t.toConfirmed(ctx, parent)
}

// laterError is a failure of a further deployment, which leaves the generation as it is.
type laterError struct{ error }

// toSwitched fetches, stages and switches, as far as that is not done.
func (t *transition) toSwitched(ctx context.Context) error {
	if t.entry.Step == journal.Accepted {
		if err := t.prepare(ctx); err != nil {
			return err
		}
	}
	if t.entry.Step == journal.Staged {
		return t.change(ctx)
	}
	return nil
}

// toConfirmed gets the generation healthy, and does the tasks of further deployments beside it:
// each needs only the units that it names. They end with the generation when that fails.
func (t *transition) toConfirmed(ctx, parent context.Context) error {
	laterCtx, stop := context.WithCancelCause(parent)
	defer stop(nil)
	ended := make(chan error, 1)
	go func() { ended <- t.laterTasks(laterCtx) }()
	if t.known().Step == journal.Settled {
		// It was healthy in time. What this start of the agent finds gets a time of its own.
		deadline := t.checked.Plan.Deadline
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(parent, time.Duration(deadline), fmt.Errorf("%w (%s for starting again)", errDeadline, deadline))
		defer cancel()
	}
	err := t.settle(ctx)
	if err == nil {
		err = t.endure(parent) // the deadline is about getting there
	}
	if err == nil {
		err = t.confirm(parent)
	}
	if err != nil {
		stop(err)
		<-ended
		return err
	}
	if err := <-ended; err != nil {
		return laterError{err}
	}
	return nil
}

// prepare fetches everything at the same time and stages the generation.
func (t *transition) prepare(ctx context.Context) error {
	p := t.checked.Plan
	group, gctx := errgroup.WithContext(ctx)
	group.Go(func() error { return t.pull(gctx) })
	group.Go(func() error { return t.Certificates.Ensure(gctx, p.Certificates) })
	group.Go(func() error { return t.Secrets.Ensure(gctx, p.Secrets) })
	if err := group.Wait(); err != nil {
		return err
	}
	filled, err := t.Journal.Filled()
	if err != nil {
		return err
	}
	if err := t.Generations.Stage(t.checked, t.delivery, filled); err != nil {
		return err
	}
	return t.step(journal.Staged, t.signal(protocol.Staged))
}

func (t *transition) pull(ctx context.Context) error {
	wants := t.wants()
	missing := t.Puller.Missing(wants)
	var total int64
	for _, want := range missing {
		total += want.Bytes()
	}
	var mu sync.Mutex
	var done int64
	t.progress(protocol.Pulling, protocol.Progress{BytesTotal: total})
	return t.Puller.Pull(ctx, missing, t.checked.Plan.Registries, func(n int64) {
		mu.Lock()
		defer mu.Unlock()
		done += n
		t.progress(protocol.Pulling, protocol.Progress{BytesDone: done, BytesTotal: total})
	})
}

func (t *transition) wants() []pull.Want {
	var wants []pull.Want
	for _, image := range t.checked.Plan.Images {
		var index string
		if locked, _, ok := t.checked.Lock.ByManifest(image.Digest); ok {
			index = locked.Index
		}
		wants = append(wants, pull.Want{
			Name: image.Name, Repository: image.Repository, Index: index, Manifest: image.Digest,
			Locked: t.checked.Platforms[image.Name], Root: image.Import == "", Layout: image.Import != "",
		})
	}
	return wants
}

// change stops what is gone, makes the generation current and has systemd read it. The jobs that
// remain are journalled before the switch, so that a crash after it owes exactly these.
func (t *transition) change(ctx context.Context) error {
	next, previous, err := t.pair()
	if err != nil {
		return err
	}
	changes := generation.Compare(previous, next)
	jobs := merge(t.known().Jobs, changes, next)
	if err := t.stop(ctx, changes.Stop); err != nil {
		return err
	}
	if err := t.commit(func(entry *journal.Entry) { entry.Jobs = jobs }); err != nil {
		return err
	}
	if err := t.Generations.Switch(next.Number); err != nil {
		return err
	}
	if err := t.Systemd.Reload(ctx); err != nil {
		return err
	}
	return t.step(journal.Switched, t.signal(protocol.Switched))
}

// pair returns the generation to switch to and the one that is current, if there is one.
func (t *transition) pair() (next, previous *generation.Generation, err error) {
	if next, err = t.Generations.Load(t.entry.Generation); err != nil {
		return nil, nil, err
	}
	if t.entry.Previous == 0 || t.entry.Previous == t.entry.Generation {
		return next, nil, nil
	}
	previous, err = t.Generations.Load(t.entry.Previous)
	return next, previous, err
}

// settle does the outstanding jobs, waits for health, imports images and does the node's own
// tasks, each as soon as what it needs is there.
func (t *transition) settle(ctx context.Context) error {
	p := t.checked.Plan
	jobs, stop := context.WithCancel(ctx)
	results, err := t.start(jobs)
	if err != nil {
		stop()
		return err
	}
	var watching sync.WaitGroup
	watching.Go(func() {
		for err := range results {
			if err != nil && jobs.Err() == nil {
				t.Log.Info("a job did not end as done", "error", err)
			}
		}
	})
	defer watching.Wait()
	defer stop()
	group, gctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return health.AwaitBefore(gctx, t.Systemd, startUnits(p), t.patience(), func(active, total int, waiting string) {
			t.progress(protocol.Switched, protocol.Progress{UnitsActive: active, UnitsTotal: total, Waiting: waiting})
		})
	})
	group.Go(func() error { return t.importImages(gctx) })
	group.Go(func() error { return t.contact(gctx) })
	group.Go(func() error { return t.tasks(gctx, func(task plan.Task) bool { return own(p, task) }) })
	return t.rootCause(ctx, group.Wait())
}

// rootCause prefers, of all that the deadline ended at the same moment, the units that were not
// well: what waited for them only tells of that.
func (t *transition) rootCause(ctx context.Context, err error) error {
	var unit *health.UnitError
	if cause := context.Cause(ctx); err != nil && !errors.As(err, &unit) && errors.Is(cause, errDeadline) {
		ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), time.Second, cause)
		defer cancel()
		if unwell := health.Await(ctx, t.Systemd, startUnits(t.checked.Plan), nil); unwell != nil {
			return unwell
		}
	}
	return err
}

// exitsBeforeReturn is how often a component may end by itself before the generation is given
// up, where there is one to go back to. On a new node there is none, and peers may still be on
// their way: there the deadline alone decides.
const exitsBeforeReturn = 8

func (t *transition) patience() int {
	if t.fallback() != 0 {
		return exitsBeforeReturn
	}
	return 0
}

func startUnits(p *plan.Plan) []string {
	var units []string
	for _, unit := range p.Units {
		if unit.Start {
			units = append(units, unit.Name)
		}
	}
	return units
}

// confirm notes that the generation is good, reports it, and drops what nobody needs any more.
func (t *transition) confirm(ctx context.Context) error {
	if err := t.markFilled(); err != nil {
		return err
	}
	healthy := t.signal(protocol.Healthy)
	healthy.Outputs = t.outputs(healthy.Deployment)
	if err := t.step(journal.Confirmed, healthy); err != nil {
		return err
	}
	if err := t.proven(); err != nil {
		return err
	}
	t.tidy(ctx)
	t.leave() // what remains is work on the cluster
	return nil
}

// switched reports whether the generation is the current one, whatever was journalled last.
func (t *transition) switched() bool {
	current, err := t.Generations.CurrentNumber()
	return err == nil && current == t.known().Generation
}

// logLines is how many lines of a failing unit's log a signal carries.
const logLines = 30
