package fake

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"slipway.build/slipway/controlplane/cloud"
)

// The operations of a call.
const (
	Create = "create"
	Await  = "await"
	Delete = "delete"
)

// Call is one call of a type's method. Attempt counts, from 1, the calls of that operation
// with that key.
type Call struct {
	Operation string
	Type      string
	Attempt   int
	cloud.Request
}

// Cloud makes objects in memory. The exported fields are set before its first use.
type Cloud struct {
	// Script, when set, runs inside each call, before it has an effect. It may block on ctx;
	// its error is the call's.
	Script func(ctx context.Context, c Call) error
	// Delay is how long each Create and Delete takes.
	Delay time.Duration

	mu       sync.Mutex
	objects  map[string]*Object
	order    []*Object // in which they were made
	attempts map[string]int
	calls    []Call
	flying   int
	most     int
}

// Object is one object of the fake.
type Object struct {
	Key, Physical, Type, Stack, Name string
	Properties                       map[string]any
	Deleted                          bool
	// Waited is set when its Await has succeeded.
	Waited bool
}

// Type returns the type of that name, or false when the fake has none.
func (c *Cloud) Type(name string) (cloud.Type, bool) {
	s, ok := schemas()[name]
	if !ok {
		return nil, false
	}
	t := kind{c, name, s}
	if awaited(name) {
		return waiter{t}, true
	}
	return t, true
}

// Objects returns the objects that were made and not deleted, in the order of their making.
func (c *Cloud) Objects() []Object {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []Object
	for _, o := range c.order {
		if !o.Deleted {
			out = append(out, *o)
		}
	}
	return out
}

// Calls returns all calls so far.
func (c *Cloud) Calls() []Call {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.calls)
}

// MostInFlight is the greatest number of calls of Create and Delete that ran at once.
func (c *Cloud) MostInFlight() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.most
}

// Doubles returns what was made more than once: objects of the same stack and name.
func (c *Cloud) Doubles() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	seen := map[string]bool{}
	var out []string
	for _, o := range c.order {
		id := o.Stack + "/" + o.Name
		if seen[id] {
			out = append(out, id)
		}
		seen[id] = true
	}
	return out
}

func (c *Cloud) enter(ctx context.Context, operation, typ string, req cloud.Request) error {
	c.mu.Lock()
	if c.attempts == nil {
		c.attempts, c.objects = map[string]int{}, map[string]*Object{}
	}
	c.attempts[operation+req.Key]++
	call := Call{Operation: operation, Type: typ, Attempt: c.attempts[operation+req.Key], Request: req}
	c.calls = append(c.calls, call)
	if operation != Await {
		c.flying++
		c.most = max(c.most, c.flying)
	}
	c.mu.Unlock()
	defer func() {
		if operation != Await {
			c.mu.Lock()
			c.flying--
			c.mu.Unlock()
		}
	}()
	if c.Delay > 0 && operation != Await {
		t := time.NewTimer(c.Delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if c.Script != nil {
		return c.Script(ctx, call)
	}
	return nil
}

type kind struct {
	cloud  *Cloud
	name   string
	schema cloud.Schema
}

type waiter struct{ kind }

func (t kind) Schema() cloud.Schema { return t.schema }

// Create makes the object with that key, or finds it.
func (t kind) Create(ctx context.Context, req cloud.Request) (cloud.Object, error) {
	if err := t.cloud.enter(ctx, Create, t.name, req); err != nil {
		return cloud.Object{}, err
	}
	t.cloud.mu.Lock()
	defer t.cloud.mu.Unlock()
	o := t.cloud.objects[req.Key]
	if o == nil {
		o = &Object{Key: req.Key, Physical: "physical-" + req.Key, Type: t.name, Stack: req.Stack, Name: req.Name, Properties: req.Properties}
		t.cloud.objects[req.Key] = o
		t.cloud.order = append(t.cloud.order, o)
	}
	return cloud.Object{Physical: o.Physical, Attributes: t.attributes(o)}, nil
}

func (t kind) attributes(o *Object) map[string]any {
	out := map[string]any{}
	for _, a := range t.schema.Attributes {
		out[a] = fmt.Sprintf("%s of %s", a, o.Name)
		if strings.HasPrefix(a, "list") {
			out[a] = []any{o.Name, "b"}
		}
	}
	return out
}

// Delete marks the object as gone.
func (t kind) Delete(ctx context.Context, req cloud.Request) error {
	if err := t.cloud.enter(ctx, Delete, t.name, req); err != nil {
		return err
	}
	t.cloud.mu.Lock()
	defer t.cloud.mu.Unlock()
	if o := t.cloud.objects[req.Key]; o != nil {
		o.Deleted = true
	}
	return nil
}

// Await reports a signal, as deployments do, once the script lets it.
func (t waiter) Await(ctx context.Context, req cloud.Request) (cloud.Object, error) {
	if err := t.cloud.enter(ctx, Await, t.name, req); err != nil {
		return cloud.Object{}, err
	}
	req.Report("SIGNAL_IN_PROGRESS", "Signal: deployment "+req.Key+" succeeded")
	t.cloud.mu.Lock()
	defer t.cloud.mu.Unlock()
	o := t.cloud.objects[req.Key]
	o.Waited = true
	return cloud.Object{Physical: o.Physical, Attributes: t.attributes(o)}, nil
}
