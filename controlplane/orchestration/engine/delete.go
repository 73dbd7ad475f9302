package engine

import "slipway.build/slipway/controlplane/store"

// deletion is the action DELETE. It needs no template: the rows know what was made and in
// which order.
type deletion struct{ *run }

func (r *deletion) begin(c *changes) { r.beginStack(c, r.top) }

// beginStack starts the deletion of a stack's resources.
func (r *deletion) beginStack(c *changes, s *stack) {
	s.open = 0
	for _, n := range s.nodes {
		if n.is(store.ActionInit, store.Complete) {
			// Never begun: nothing to delete and nothing to tell.
			n.row.Action = store.ActionDelete
			c.updateNode(n)
		}
		if !n.deleted() {
			s.open++
		}
	}
	if s.open == 0 {
		r.finishStack(c, s)
		return
	}
	var ready []*node
	for _, n := range s.nodes {
		if n.deleted() {
			continue
		}
		n.waits = 0
		for _, name := range n.row.RequiredBy {
			if u := s.byName[name]; u != nil && !u.deleted() {
				n.waits++
			}
		}
		if n.waits == 0 {
			ready = append(ready, n)
		}
	}
	for _, n := range ready {
		r.startNode(c, n)
	}
}

func (n *node) deleted() bool { return n.is(store.ActionDelete, store.Complete) }

func (r *deletion) startNode(c *changes, n *node) {
	if !n.is(store.ActionDelete, store.InProgress) {
		n.row.Deadline, n.row.Attempts = r.root.Deadline, 0
		c.set(r.run, n, store.ActionDelete, store.InProgress, "state changed")
	}
	switch {
	case n.nested != nil:
		s := n.nested
		if s.row.State() != store.DeleteInProgress && s.row.State() != store.DeleteComplete {
			s.row.Owner, s.row.Deadline, s.row.Timeout = r.root.Owner, r.root.Deadline, r.root.Timeout
			c.setStack(r.run, s, store.ActionDelete, store.InProgress, "Stack DELETE started")
		}
		r.beginStack(c, s)
	case n.row.NestedID != "":
		r.complete(c, n) // its stack was never written
	default:
		r.launch = append(r.launch, n)
	}
}

func (r *deletion) finished(c *changes, m message) {
	if m.failed {
		c.set(r.run, m.node, store.ActionDelete, store.Failed, m.reason)
		if r.cause == "" {
			r.cause = resourceReason(m.node.path(), m.reason)
		}
		return // the rest goes on; what this one needs stays
	}
	r.complete(c, m.node)
}

func (r *deletion) complete(c *changes, n *node) {
	c.set(r.run, n, store.ActionDelete, store.Complete, "state changed")
	for _, name := range n.row.DependsOn {
		d := n.stack.byName[name]
		if d == nil || d.deleted() {
			continue
		}
		if d.waits--; d.waits == 0 {
			r.startNode(c, d)
		}
	}
	if n.stack.open--; n.stack.open == 0 {
		r.finishStack(c, n.stack)
	}
}

func (r *deletion) finishStack(c *changes, s *stack) {
	if s.row.State() != store.DeleteComplete {
		s.row.DeletedAt = timeNow()
		c.setStack(r.run, s, store.ActionDelete, store.Complete, "Stack DELETE completed successfully")
	}
	if s.parent == nil {
		r.ended = true
		return
	}
	if !s.parent.deleted() {
		r.complete(c, s.parent)
	}
}

// stuck ends a deletion in which something failed.
func (r *deletion) stuck(c *changes) {
	r.top.each(func(s *stack) {
		for _, n := range s.nodes {
			if n.is(store.ActionDelete, store.InProgress) {
				c.set(r.run, n, store.ActionDelete, store.Failed, r.cause)
			}
		}
		if s.row.State() == store.DeleteInProgress {
			c.setStack(r.run, s, store.ActionDelete, store.Failed, r.cause)
		}
	})
	r.ended = true
}
