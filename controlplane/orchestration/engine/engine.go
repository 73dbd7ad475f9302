package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"slipway.build/slipway/controlplane/cloud"
	"slipway.build/slipway/controlplane/fault"
	"slipway.build/slipway/controlplane/orchestration/template"
	"slipway.build/slipway/controlplane/store"
)

// DefaultParallel is the default bound on cloud calls in flight.
const DefaultParallel = 16

// Types returns the resource type of that name, or false when there is none.
type Types func(name string) (cloud.Type, bool)

// Options are what an engine can be told; the zero value is right for production.
type Options struct {
	// Parallel bounds the calls of Type.Create and Type.Delete in flight, over all stacks of
	// this engine; DefaultParallel when zero. Awaiter.Await does not count.
	Parallel int
	// Backoff is the wait before the first retry of a call, doubling up to MaxBackoff, each
	// with jitter; 200 ms and 10 s when zero.
	Backoff, MaxBackoff time.Duration
	// Deadline bounds the creation of one resource of the type; none but the stack's when nil
	// or when it returns zero.
	Deadline func(typ string) time.Duration
	// Log gets what operators need besides events; discarded when nil.
	Log *slog.Logger
}

// Engine works on stacks. It is safe for concurrent use.
type Engine struct {
	store *store.Store
	types Types
	o     Options
	calls *semaphore.Weighted

	mu      sync.Mutex
	running map[string]*run // by root stack
}

// New returns an engine that keeps its state in s and makes resources of the types.
func New(s *store.Store, types Types, o Options) *Engine {
	if o.Parallel <= 0 {
		o.Parallel = DefaultParallel
	}
	if o.Backoff <= 0 {
		o.Backoff = 200 * time.Millisecond
	}
	if o.MaxBackoff <= 0 {
		o.MaxBackoff = 10 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Engine{store: s, types: types, o: o, calls: semaphore.NewWeighted(int64(o.Parallel)), running: map[string]*run{}}
}

// Spec says which stack to create.
type Spec struct {
	ID         string // UUID; made when empty
	Name       string // see StackName
	Cluster    string // UUID
	Project    string
	Actor      string            // who asked, for the events
	Template   string            // name of the template among Files
	Files      map[string]string // templates' texts by name
	Parameters map[string]any
	Timeout    time.Duration // bounds the whole creation; an hour when zero
}

// Result is how an action ended.
type Result struct {
	// Status is CREATE_COMPLETE, CREATE_FAILED, DELETE_COMPLETE or DELETE_FAILED.
	Status string
	// Reason is the stack's status reason: of a failure the root cause, with the path of the
	// resource that failed first.
	Reason  string
	Outputs map[string]any
}

// ErrInterrupted is Run's error, marked as a conflict, when DeleteStack has taken the stack.
var ErrInterrupted = errors.New("interrupted by the deletion of the stack")

// Validate checks the template with everything nested in it and the parameters, without
// writing anything. Errors are terminal and name file and line.
func (e *Engine) Validate(s Spec) error {
	_, _, err := e.load(s)
	return err
}

func (e *Engine) load(s Spec) (*template.Bundle, map[string]any, error) {
	b, err := template.Load(s.Template, s.Files)
	if err == nil {
		err = b.Validate(e.schema)
	}
	if err != nil {
		return nil, nil, fault.Terminalf("template of stack %s: %w", s.Name, err)
	}
	params, err := b.Root.Resolve(s.Parameters)
	if err != nil {
		return nil, nil, fault.Terminalf("parameters of stack %s: %w", s.Name, err)
	}
	return b, params, nil
}

func (e *Engine) schema(typ string) (cloud.Schema, bool) {
	t, ok := e.types(typ)
	if !ok {
		return cloud.Schema{}, false
	}
	return t.Schema(), true
}

// CreateStack writes a new root stack with its resources, in CREATE_IN_PROGRESS, into the
// caller's transaction and returns its id; Run then makes it. Errors about the template or the
// parameters are terminal.
func (e *Engine) CreateStack(ctx context.Context, tx *store.Tx, s Spec) (string, error) {
	b, params, err := e.load(s)
	if err != nil {
		return "", err
	}
	if s.ID == "" {
		s.ID = store.NewID()
	}
	if s.Timeout <= 0 {
		s.Timeout = time.Hour
	}
	root := &store.Stack{
		ID: s.ID, RootID: s.ID, Name: s.Name, ClusterID: s.Cluster, ProjectID: s.Project, Owner: s.Actor,
		TemplateName: s.Template, Template: b.Root.Text, Files: b.Texts(), Parameters: params,
		Action: store.ActionCreate, Status: store.InProgress, StatusReason: "Stack CREATE started",
		Timeout: s.Timeout, Deadline: tx.Now().Add(s.Timeout),
	}
	r := &run{engine: e, root: root, bundle: b}
	st := &stack{row: root, template: b.Root, params: params}
	if err := r.plan(st); err != nil {
		return "", fault.Terminalf("stack %s: %w", s.Name, err)
	}
	c := &changes{}
	c.insertStack(st)
	c.stackEvent(r, st)
	return s.ID, c.write(ctx, tx)
}

// Run works on the stack's current action until it has ended and returns how. It resumes what
// an earlier run has left. The error is a conflict when the fence has been lost, the stack is
// being run already, or DeleteStack has interrupted; ctx's when that was cancelled, which
// leaves everything to be resumed; and that of the store when a commit failed.
func (e *Engine) Run(ctx context.Context, root string, fence store.Fence) (Result, error) {
	row, err := e.store.Stack(ctx, root)
	if err != nil {
		return Result{}, err
	}
	if row.RootID != row.ID {
		return Result{}, fault.Terminalf("stack %s is nested in %s: only a root stack can be run", root, row.RootID)
	}
	r := &run{engine: e, root: row, fence: fence, done: make(chan struct{}), deleting: row.Action == store.ActionDelete}
	ctx, r.cancel = context.WithCancelCause(ctx)
	defer r.cancel(nil)
	if err := e.enter(r); err != nil {
		return Result{}, err
	}
	defer e.leave(r)
	if row.Status == store.InProgress {
		if err := r.work(ctx); err != nil {
			if ctx.Err() != nil && errors.Is(err, ctx.Err()) { // whatever noticed, the cause says why
				err = context.Cause(ctx)
			}
			return Result{}, fmt.Errorf("run stack %s: %w", row.Name, err)
		}
	}
	return Result{Status: r.root.State(), Reason: r.root.StatusReason, Outputs: r.root.Outputs}, nil
}

func (e *Engine) enter(r *run) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.running[r.root.ID] != nil {
		return fault.Conflictf("stack %s is being run already", r.root.Name)
	}
	e.running[r.root.ID] = r
	return nil
}

func (e *Engine) leave(r *run) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.running, r.root.ID)
	close(r.done)
}

// DeleteStack interrupts a run of the stack in this process, waits for its calls to return,
// and commits DELETE_IN_PROGRESS under the fence; Run then deletes. It does nothing when the
// stack is being deleted or is gone. actor is who asked; timeout is an hour when zero.
func (e *Engine) DeleteStack(ctx context.Context, root string, fence store.Fence, actor string, timeout time.Duration) error {
	if timeout <= 0 {
		timeout = time.Hour
	}
	e.mu.Lock()
	r := e.running[root]
	e.mu.Unlock()
	if r != nil && !r.deleting {
		r.cancel(&fault.Error{Kind: fault.Conflict, Err: ErrInterrupted})
		select {
		case <-r.done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return e.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.CheckFence(ctx, fence); err != nil {
			return err
		}
		row, err := tx.Stack(ctx, root)
		if err != nil {
			return err
		}
		if row.Action == store.ActionDelete && row.Status != store.Failed {
			return nil
		}
		row.Action, row.Status, row.StatusReason = store.ActionDelete, store.InProgress, "Stack DELETE started"
		row.Owner, row.Timeout, row.Deadline = actor, timeout, tx.Now().Add(timeout)
		run := &run{engine: e, root: row}
		st := &stack{row: row}
		c := &changes{}
		c.updateStack(st)
		c.stackEvent(run, st)
		return c.write(ctx, tx)
	})
}

// backoff is how long to wait after that many failed attempts.
func (e *Engine) backoff(attempts int) time.Duration {
	d := e.o.MaxBackoff
	if attempts < 20 {
		d = min(d, e.o.Backoff<<max(attempts-1, 0))
	}
	return d/2 + rand.N(d/2+1)
}

// StackName makes the name of a cluster's stack as Magnum does, from at most 30 characters of
// the cluster's name and 12 of the stack's id. It is a DNS label of at most 43 characters.
func StackName(cluster, id string) string {
	var b strings.Builder
	for _, c := range strings.ToLower(cluster) {
		if b.Len() == 30 {
			break
		}
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			c = '-'
		}
		b.WriteRune(c)
	}
	return strings.Trim(b.String(), "-") + "-" + shortID(id)
}
