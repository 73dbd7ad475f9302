package engine

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"slipway.build/slipway/controlplane/cloud"
	"slipway.build/slipway/controlplane/fault"
	"slipway.build/slipway/controlplane/store"
)

func timeNow() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// call makes the calls for one node, in a goroutine of its own. It holds copies: the node's
// row belongs to the run.
type call struct {
	run      *run
	node     *node // only to name it in messages
	typeName string
	action   string
	request  cloud.Request
	deadline time.Time
	since    time.Time
	failed   int // attempts
	last     error
	reported atomic.Pointer[string]
}

func (r *run) newCall(n *node) *call {
	c := &call{run: r, node: n, typeName: n.row.Type, action: n.row.Action, deadline: n.row.Deadline, since: n.row.UpdatedAt, failed: n.row.Attempts}
	if c.deadline.IsZero() || r.root.Deadline.Before(c.deadline) {
		c.deadline = r.root.Deadline
	}
	if c.since.IsZero() {
		c.since = timeNow()
	}
	properties, _ := clone(n.row.Properties).(map[string]any)
	c.request = cloud.Request{
		Key: n.row.ID, Physical: n.row.PhysicalID, Cluster: r.root.ClusterID, Project: r.root.ProjectID,
		Stack: n.stack.row.Name, Name: n.row.Name, Properties: properties,
		Report: func(status, reason string) {
			c.reported.Store(&reason)
			c.send(message{kind: reportMessage, status: status, reason: reason})
		},
	}
	return c
}

// send gives the run a message; after the run has ended it is dropped.
func (c *call) send(m message) {
	m.node = c.node
	select {
	case c.run.messages <- m:
	case <-c.run.gone:
	}
}

func (c *call) do(ctx context.Context) {
	ctx, cancel := context.WithDeadline(ctx, c.deadline)
	defer cancel()
	object, err := c.object(ctx)
	if err != nil {
		c.send(message{kind: doneMessage, failed: true, reason: c.reason(ctx, err)})
		return
	}
	attributes, _ := clone(object.Attributes).(map[string]any)
	c.send(message{kind: doneMessage, physical: object.Physical, attributes: attributes})
}

func (c *call) object(ctx context.Context) (cloud.Object, error) {
	typ, ok := c.run.engine.types(c.typeName)
	if !ok {
		return cloud.Object{}, fault.Terminalf("unknown type %s", c.typeName)
	}
	if c.action == store.ActionDelete {
		return c.attempts(ctx, true, func() (cloud.Object, error) { return cloud.Object{}, typ.Delete(ctx, c.request) })
	}
	made, err := c.attempts(ctx, true, func() (cloud.Object, error) { return typ.Create(ctx, c.request) })
	if err != nil {
		return cloud.Object{}, err
	}
	if made.Physical == "" {
		made.Physical = c.request.Key
	}
	awaiter, ok := typ.(cloud.Awaiter)
	if !ok {
		return made, nil
	}
	if made.Physical != c.request.Physical {
		// The id is durable before the wait, which may take minutes.
		durable := make(chan struct{})
		attributes, _ := clone(made.Attributes).(map[string]any)
		c.send(message{kind: objectMessage, physical: made.Physical, attributes: attributes, ack: durable})
		select {
		case <-durable:
		case <-ctx.Done():
			return cloud.Object{}, ctx.Err()
		}
	}
	c.request.Physical = made.Physical
	complete, err := c.attempts(ctx, false, func() (cloud.Object, error) { return awaiter.Await(ctx, c.request) })
	if complete.Physical == "" {
		complete.Physical = made.Physical
	}
	if complete.Attributes == nil {
		complete.Attributes = made.Attributes
	}
	return complete, err
}

// attempts calls fn until it succeeds, fails for good, or ctx has ended. Only while fn runs and
// bounded is true does it count against the bound on calls in flight.
func (c *call) attempts(ctx context.Context, bounded bool, fn func() (cloud.Object, error)) (cloud.Object, error) {
	e := c.run.engine
	for {
		object, err := c.attempt(ctx, bounded, fn)
		if err == nil || fault.IsTerminal(err) || ctx.Err() != nil {
			return object, err
		}
		c.last = err
		c.failed++
		c.send(message{kind: attemptMessage, reason: fmt.Sprintf("attempt %d failed, trying again: %v", c.failed, err)})
		timer := time.NewTimer(e.backoff(c.failed))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return cloud.Object{}, ctx.Err()
		}
	}
}

// attempt turns a panic of a type into a terminal error: other stacks go on.
func (c *call) attempt(ctx context.Context, bounded bool, fn func() (cloud.Object, error)) (o cloud.Object, err error) {
	if bounded {
		if err := c.run.engine.calls.Acquire(ctx, 1); err != nil {
			return cloud.Object{}, err
		}
		defer c.run.engine.calls.Release(1)
	}
	defer func() {
		if p := recover(); p != nil {
			c.run.engine.o.Log.Error("resource type panicked", "type", c.typeName, "panic", p, "stack", string(debug.Stack()))
			err = fault.Terminalf("the resource type %s panicked: %v", c.typeName, p)
		}
	}()
	return fn()
}

// reason is the message for a person: of a missed deadline, what was being waited for.
func (c *call) reason(ctx context.Context, err error) string {
	if fault.IsTerminal(err) || ctx.Err() == nil {
		return err.Error()
	}
	s := fmt.Sprintf("the deadline passed after %s", c.deadline.Sub(c.since).Round(time.Millisecond))
	if c.failed > 0 {
		s += fmt.Sprintf(" and %d failed attempts", c.failed)
	}
	if bare(err) && c.last != nil {
		err = c.last
	}
	if !bare(err) {
		s += ": " + err.Error()
	}
	if last := c.reported.Load(); last != nil {
		s += " (last heard: " + *last + ")"
	}
	return s
}

// bare tells an error that says only that the context has ended.
func bare(err error) bool { return err == context.DeadlineExceeded || err == context.Canceled }

func clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, x := range v {
			out[k] = clone(x)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = clone(x)
		}
		return out
	}
	return v
}
