package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	"slipway.build/slipway/controlplane/fault"
	"slipway.build/slipway/controlplane/orchestration/template"
	"slipway.build/slipway/controlplane/store"
)

// run is the work on one tree of stacks. One goroutine, in work, owns all of its state; the
// calls run in others and report by messages.
type run struct {
	engine *Engine
	root   *store.Stack
	fence  store.Fence
	bundle *template.Bundle
	cancel context.CancelCauseFunc
	done   chan struct{} // closed when the run has left the engine
	// deleting is set once, before others can see the run.
	deleting bool

	top      *stack
	action   action
	messages chan message
	gone     chan struct{} // closed when no message is taken any more
	calls    sync.WaitGroup
	inFlight int
	launch   []*node // to be called after the commit
	cause    string  // why the action fails, once it does
	ended    bool    // the root has reached its final state
}

// action is what differs between creating and deleting.
type action interface {
	// begin records what can start.
	begin(c *changes)
	// finished records the end of a node's call and what follows from it.
	finished(c *changes, m message)
	// stuck records the end of an action that can go no further.
	stuck(c *changes)
}

// message is what a call reports to the run.
type message struct {
	node *node
	kind messageKind
	// status and reason are those of a report; reason also says why the node failed.
	status, reason string
	failed         bool
	physical       string
	attributes     map[string]any
	ack            chan struct{} // closed once what the message says is durable
}

type messageKind int

const (
	reportMessage  messageKind = iota // an event, nothing else
	attemptMessage                    // an event, and an attempt that has failed
	objectMessage                     // the object exists; the node still waits for more
	doneMessage                       // the call has ended
)

// work runs until the action has ended, the context is cancelled or a commit fails.
func (r *run) work(ctx context.Context) (err error) {
	if err := r.restore(ctx); err != nil {
		return err
	}
	r.messages, r.gone = make(chan message), make(chan struct{})
	calls, cancel := context.WithDeadline(ctx, r.root.Deadline)
	defer cancel()
	// Calls are told of the run's end, and waited for.
	defer func() {
		late := r.drain(cancel)
		if err == nil {
			err = r.keep(ctx, late)
		}
	}()

	c := &changes{}
	r.action.begin(c)
	for {
		if r.inFlight == 0 && len(r.launch) == 0 && !r.ended {
			r.action.stuck(c)
		}
		if err := r.commit(ctx, c); err != nil {
			return err
		}
		if r.ended {
			return nil
		}
		r.start(calls)
		c = &changes{}
		var acks []chan struct{}
		// A call that was cancelled has not failed: it is called again when the run resumes.
		// Its message can only come after the context has ended.
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case m := <-r.messages:
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			acks = append(acks, r.take(c, m))
		}
		// What else has come meanwhile shares the commit.
		for more := true; more; {
			select {
			case m := <-r.messages:
				if ctx.Err() != nil {
					return context.Cause(ctx)
				}
				acks = append(acks, r.take(c, m))
			default:
				more = false
			}
		}
		if r.inFlight == 0 && len(r.launch) == 0 && !r.ended {
			r.action.stuck(c)
		}
		if err := r.commit(ctx, c); err != nil {
			return err
		}
		c = &changes{}
		for _, a := range acks {
			if a != nil {
				close(a)
			}
		}
	}
}

// commit makes the changes durable under the fence.
func (r *run) commit(ctx context.Context, c *changes) error {
	if c.empty() {
		return nil
	}
	return r.engine.store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.CheckFence(ctx, r.fence); err != nil {
			return err
		}
		return c.write(ctx, tx)
	})
}

// start calls what the last commit has unblocked, the longest path first.
func (r *run) start(ctx context.Context) {
	slices.SortStableFunc(r.launch, func(a, b *node) int { return cmp.Compare(b.height, a.height) })
	for _, n := range r.launch {
		c := r.newCall(n)
		r.inFlight++
		r.calls.Go(func() { c.do(ctx) })
	}
	r.launch = nil
}

// drain waits for the calls, taking their messages so that none blocks. It returns the last
// messages about objects that were made.
func (r *run) drain(cancel context.CancelFunc) (late []message) {
	cancel()
	left := make(chan struct{})
	go func() {
		r.calls.Wait()
		close(left)
	}()
	for {
		select {
		case m := <-r.messages:
			if !m.failed && (m.kind == doneMessage || m.kind == objectMessage) {
				late = append(late, m)
			}
		case <-left:
			close(r.gone)
			return late
		}
	}
}

// keep records the objects that were still made while a creation failed, for the deletion.
func (r *run) keep(ctx context.Context, late []message) error {
	c := &changes{}
	if r.root.Action == store.ActionCreate {
		for _, m := range late {
			m.node.row.PhysicalID, m.node.row.Attributes = m.physical, m.attributes
			c.updateNode(m.node)
		}
	}
	return r.commit(ctx, c)
}

// take applies a message to the state in memory and to the changes.
func (r *run) take(c *changes, m message) chan struct{} {
	n := m.node
	switch m.kind {
	case reportMessage:
		c.report(r, n, m.status, m.reason)
	case attemptMessage:
		n.row.Attempts++
		c.updateNode(n)
		c.report(r, n, n.row.State(), m.reason)
	case objectMessage:
		n.row.PhysicalID, n.row.Attributes = m.physical, m.attributes
		c.updateNode(n)
	case doneMessage:
		r.inFlight--
		r.action.finished(c, m)
	}
	return m.ack
}

// restore reads the tree back from the store.
func (r *run) restore(ctx context.Context) error {
	rows, err := r.engine.store.StackTree(ctx, r.root.ID)
	if err != nil {
		return err
	}
	resources, err := r.engine.store.ResourceTree(ctx, r.root.ID)
	if err != nil {
		return err
	}
	r.root = rows[0]
	if r.root.Action == store.ActionCreate {
		files := map[string]string{r.root.TemplateName: r.root.Template}
		for name, text := range r.root.Files {
			files[name] = text
		}
		if r.bundle, err = template.Load(r.root.TemplateName, files); err != nil {
			return fault.Terminalf("stored template of stack %s: %w", r.root.Name, err)
		}
	}
	byStack := map[string][]*store.Resource{}
	for _, row := range resources {
		byStack[row.StackID] = append(byStack[row.StackID], row)
	}
	stacks := map[string]*stack{}
	for _, row := range rows {
		s := &stack{row: row}
		stacks[row.ID] = s
		if row.ParentID == "" {
			r.top = s
			if r.bundle != nil {
				s.template, s.params = r.bundle.Root, row.Parameters
			}
		} else {
			around := stacks[row.ParentID]
			if around == nil || around.byName[row.ParentResource] == nil {
				return fault.Terminalf("stack %s has lost the resource %s around it", row.Name, row.ParentResource)
			}
			s.parent = around.byName[row.ParentResource]
			if s.parent.row.NestedID != row.ID {
				continue // the resource has another stack by now
			}
			s.parent.nested = s
			if r.bundle != nil && s.parent.kind == templateKind {
				s.template = r.bundle.Files[s.parent.row.Type]
			}
		}
		for _, res := range byStack[row.ID] {
			r.addNode(s, res)
		}
		if err := r.setHeights(s); err != nil {
			return fault.Terminalf("stored resources of stack %s: %w", row.Name, err)
		}
	}
	switch r.root.Action {
	case store.ActionCreate:
		r.action = &creation{r}
	case store.ActionDelete:
		r.action = &deletion{r}
	default:
		return fault.Terminalf("stack %s: action %s is not supported", r.root.Name, r.root.Action)
	}
	return nil
}

// each calls fn for every stack of the tree, those around before those within.
func (s *stack) each(fn func(*stack)) {
	fn(s)
	for _, n := range s.nodes {
		if n.nested != nil {
			n.nested.each(fn)
		}
	}
}

func resourceReason(path, reason string) string { return fmt.Sprintf("resource %s: %s", path, reason) }
