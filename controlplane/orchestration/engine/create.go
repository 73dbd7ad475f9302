package engine

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"slipway.build/slipway/controlplane/orchestration/template"
	"slipway.build/slipway/controlplane/store"
)

// creation is the action CREATE.
type creation struct{ *run }

// begin starts what needs nothing, and calls again what an earlier run has left in progress.
func (r *creation) begin(c *changes) {
	r.top.each(func(s *stack) { r.wire(s) })
	var ready []*node
	var whole []*stack
	r.top.each(func(s *stack) {
		for _, n := range s.nodes {
			switch {
			case n.is(store.ActionInit, store.Complete) && n.waits == 0:
				ready = append(ready, n)
			case n.kind == leafKind && n.is(store.ActionCreate, store.InProgress):
				r.launch = append(r.launch, n)
			}
		}
		if s.open == 0 && s.row.Status == store.InProgress {
			whole = append(whole, s)
		}
	})
	for _, s := range slices.Backward(whole) {
		r.finishStack(c, s)
	}
	r.startAll(c, ready)
}

// startAll starts nodes and all that this makes ready at once, such as a nested stack's.
func (r *creation) startAll(c *changes, ready []*node) {
	for len(ready) > 0 && r.cause == "" {
		n := ready[0]
		ready = append(ready[1:], r.startNode(c, n)...)
	}
}

// startNode moves the node to CREATE_IN_PROGRESS and returns what can start now besides.
func (r *creation) startNode(c *changes, n *node) []*node {
	var err error
	if n.metadata != nil {
		v, merr := n.metadata.Eval(n.scope, n.index)
		n.row.Metadata, _ = v.(map[string]any)
		err = merr
	}
	if n.kind != leafKind {
		if n.kind == groupKind && err == nil {
			n.row.Properties, err = n.groupProperties()
		}
		if err != nil {
			r.fail(c, n, err.Error())
			return nil
		}
		return r.startNested(c, n)
	}
	if err == nil {
		schema, ok := r.engine.schema(n.row.Type)
		if !ok {
			err = fmt.Errorf("unknown type %s", n.row.Type)
		} else {
			n.row.Properties, err = template.Properties(n.properties, schema, n.scope, n.index)
		}
	}
	if err != nil {
		r.fail(c, n, err.Error())
		return nil
	}
	n.row.Deadline = r.root.Deadline
	if d := r.engine.o.Deadline; d != nil {
		if t := d(n.row.Type); t > 0 {
			if at := timeNow().Add(t); at.Before(n.row.Deadline) {
				n.row.Deadline = at
			}
		}
	}
	c.set(r.run, n, store.ActionCreate, store.InProgress, "state changed")
	r.launch = append(r.launch, n)
	return nil
}

// startNested makes the stack nested in the node.
func (r *creation) startNested(c *changes, n *node) []*node {
	c.set(r.run, n, store.ActionCreate, store.InProgress, "state changed")
	s := &stack{parent: n, row: &store.Stack{
		ID: store.NewID(), RootID: r.root.ID, Name: n.physicalName(), ParentID: n.stack.row.ID, ParentResource: n.row.Name,
		Depth: n.stack.row.Depth + 1, ClusterID: r.root.ClusterID, ProjectID: r.root.ProjectID, Owner: r.root.Owner,
		TemplateName: n.row.Type, Action: store.ActionCreate, Status: store.InProgress, StatusReason: "Stack CREATE started",
		Timeout: r.root.Timeout, Deadline: r.root.Deadline,
	}}
	n.nested, n.row.NestedID, n.row.PhysicalID = s, s.row.ID, s.row.ID
	if n.kind == templateKind {
		s.template = r.bundle.Files[n.row.Type]
		s.row.Template = s.template.Text
	}
	if err := r.plan(s); err != nil {
		r.fail(c, n, err.Error())
		return nil
	}
	if n.kind == groupKind {
		s.row.Template = groupText(s)
	}
	s.row.Parameters = s.knownParams()
	c.insertStack(s)
	c.stackEvent(r.run, s)
	r.wire(s)
	if s.open == 0 {
		return r.finishStack(c, s)
	}
	var ready []*node
	for _, m := range s.nodes {
		if m.waits == 0 {
			ready = append(ready, m)
		}
	}
	return ready
}

// groupText is a group's template for those who look at it: only names and types.
func groupText(s *stack) string {
	resources := map[string]any{}
	for _, n := range s.nodes {
		resources[n.row.Name] = map[string]any{"type": n.row.Type}
	}
	b, err := json.Marshal(map[string]any{"heat_template_version": "2021-04-16", "resources": resources})
	if err != nil {
		return ""
	}
	return string(b)
}

// knownParams returns the parameters that have a value by now.
func (s *stack) knownParams() map[string]any {
	out := map[string]any{}
	if s.template == nil {
		return out
	}
	for _, p := range s.template.Parameters {
		if v, err := s.Param(p.Name); err == nil {
			out[p.Name] = v
		}
	}
	return out
}

// finished takes the end of a node's calls.
func (r *creation) finished(c *changes, m message) {
	n := m.node
	if !n.is(store.ActionCreate, store.InProgress) {
		// The stack has failed meanwhile; what was made is kept for the deletion.
		if !m.failed {
			n.row.PhysicalID, n.row.Attributes = m.physical, m.attributes
			c.updateNode(n)
		}
		return
	}
	if m.failed {
		r.fail(c, n, m.reason)
		return
	}
	n.row.PhysicalID, n.row.Attributes = m.physical, m.attributes
	r.startAll(c, r.complete(c, n))
}

// complete moves the node to CREATE_COMPLETE and returns what can start now.
func (r *creation) complete(c *changes, n *node) []*node {
	c.set(r.run, n, store.ActionCreate, store.Complete, "state changed")
	var ready []*node
	for _, u := range n.users {
		u.waits--
		if u.waits == 0 && u.is(store.ActionInit, store.Complete) {
			ready = append(ready, u)
		}
	}
	n.stack.open--
	if n.stack.open == 0 {
		ready = append(ready, r.finishStack(c, n.stack)...)
	}
	return ready
}

// finishStack ends a stack whose resources are all done.
func (r *creation) finishStack(c *changes, s *stack) []*node {
	outputs, err := s.outputs()
	if err != nil {
		r.failStack(c, s, err.Error())
		return nil
	}
	s.row.Outputs = outputs
	if s.parent != nil {
		s.row.Parameters = s.knownParams()
	}
	c.setStack(r.run, s, store.ActionCreate, store.Complete, "Stack CREATE completed successfully")
	if s.parent == nil {
		r.ended = true
		return nil
	}
	n := s.parent
	if n.kind == templateKind {
		n.row.Properties = s.row.Parameters
	}
	n.row.Attributes = outputs
	return r.complete(c, n)
}

// fail records the failure of a node and what follows: the stacks around fail with its reason
// and path, and everything else is aborted.
func (r *creation) fail(c *changes, n *node, reason string) {
	c.set(r.run, n, store.ActionCreate, store.Failed, reason)
	r.failAround(c, n, reason)
}

func (r *creation) failStack(c *changes, s *stack, reason string) {
	if s.parent == nil {
		r.cause = reason
		c.setStack(r.run, s, store.ActionCreate, store.Failed, reason)
		r.abort(c)
		return
	}
	c.setStack(r.run, s, store.ActionCreate, store.Failed, reason)
	c.set(r.run, s.parent, store.ActionCreate, store.Failed, reason)
	r.failAround(c, s.parent, reason)
}

func (r *creation) failAround(c *changes, n *node, reason string) {
	if r.cause != "" {
		return // an abort; the stacks around have failed by the first one
	}
	for s := n.stack; s != nil; {
		path := resourceReason(n.pathFrom(s), reason)
		if s.parent == nil {
			r.cause = path
		}
		c.setStack(r.run, s, store.ActionCreate, store.Failed, path)
		if s.parent == nil {
			break
		}
		c.set(r.run, s.parent, store.ActionCreate, store.Failed, path)
		s = s.parent.stack
	}
	r.abort(c)
}

// abort fails all that is still in progress. The run has ended with that; its calls are
// cancelled and waited for.
func (r *creation) abort(c *changes) {
	reason := "CREATE aborted: " + r.cause
	r.top.each(func(s *stack) {
		for _, n := range s.nodes {
			if n.is(store.ActionCreate, store.InProgress) {
				c.set(r.run, n, store.ActionCreate, store.Failed, reason)
			}
		}
		if s.row.Status == store.InProgress {
			c.setStack(r.run, s, store.ActionCreate, store.Failed, reason)
		}
	})
	r.launch = nil
	r.ended = true
}

// stuck cannot happen with a template that has no cycle; if it does, it must not hang.
func (r *creation) stuck(c *changes) {
	var waiting []string
	r.top.each(func(s *stack) {
		for _, n := range s.nodes {
			if n.is(store.ActionInit, store.Complete) {
				waiting = append(waiting, n.path())
			}
		}
	})
	r.failStack(c, r.top, fmt.Sprintf("nothing is left to do, but these wait: %s", strings.Join(waiting, ", ")))
}
