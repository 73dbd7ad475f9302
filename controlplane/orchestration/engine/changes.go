package engine

import (
	"context"

	"github.com/google/uuid"

	"slipway.build/slipway/controlplane/store"
)

// changes is what one transaction writes.
type changes struct {
	newStacks    []*store.Stack
	newResources []*store.Resource
	stacks       []*store.Stack
	resources    []*store.Resource
	events       []*store.Event
	known        map[any]bool // rows that are in one of the lists
}

func (c *changes) first(row any) bool {
	if c.known[row] {
		return false
	}
	if c.known == nil {
		c.known = map[any]bool{}
	}
	c.known[row] = true
	return true
}

// insertStack adds a stack and its resources; later changes of them in the same transaction
// are in the rows already.
func (c *changes) insertStack(s *stack) {
	c.first(s.row)
	c.newStacks = append(c.newStacks, s.row)
	for _, n := range s.nodes {
		c.first(n.row)
		c.newResources = append(c.newResources, n.row)
	}
}

func (c *changes) updateStack(s *stack) {
	if c.first(s.row) {
		c.stacks = append(c.stacks, s.row)
	}
}

func (c *changes) updateNode(n *node) {
	if c.first(n.row) {
		c.resources = append(c.resources, n.row)
	}
}

func (c *changes) empty() bool { return len(c.known) == 0 && len(c.events) == 0 }

// set moves the node to a state and records the event.
func (c *changes) set(r *run, n *node, action, status, reason string) {
	n.row.Action, n.row.Status, n.row.StatusReason = action, status, reason
	c.updateNode(n)
	c.events = append(c.events, r.event(n, n.row.State(), reason))
}

// setStack moves the stack to a state and records the event.
func (c *changes) setStack(r *run, s *stack, action, status, reason string) {
	s.row.Action, s.row.Status, s.row.StatusReason = action, status, reason
	c.updateStack(s)
	c.stackEvent(r, s)
}

// stackEvent records the stack's state as an event, which Heat names after the stack.
func (c *changes) stackEvent(r *run, s *stack) {
	c.events = append(c.events, &store.Event{
		ID: store.NewID(), ClusterID: r.root.ClusterID, RootID: r.root.ID, StackID: s.row.ID, StackName: s.row.Name,
		ResourceName: s.row.Name, PhysicalID: s.row.ID, ResourceType: stackType,
		Status: s.row.State(), StatusReason: s.row.StatusReason, Actor: r.root.Owner,
	})
}

// report records something that a type has told. The same thing told again, as after a restart,
// has the same id and is not recorded twice.
func (c *changes) report(r *run, n *node, status, reason string) {
	e := r.event(n, status, reason)
	e.ID = uuid.NewSHA1(uuid.NameSpaceOID, []byte(n.row.ID+"\n"+n.row.Action+"\n"+status+"\n"+reason)).String()
	c.events = append(c.events, e)
}

func (r *run) event(n *node, status, reason string) *store.Event {
	physical := n.row.PhysicalID
	if physical == "" {
		physical = n.physicalName()
	}
	return &store.Event{
		ID: store.NewID(), ClusterID: r.root.ClusterID, RootID: r.root.ID, StackID: n.stack.row.ID, StackName: n.stack.row.Name,
		ResourceName: n.row.Name, PhysicalID: physical, ResourceType: n.row.Type,
		Status: status, StatusReason: reason, Actor: r.root.Owner,
	}
}

func (c *changes) write(ctx context.Context, tx *store.Tx) error {
	if err := tx.InsertStacks(ctx, c.newStacks); err != nil {
		return err
	}
	if err := tx.InsertResources(ctx, c.newResources); err != nil {
		return err
	}
	for _, s := range c.stacks {
		if err := tx.UpdateStack(ctx, s); err != nil {
			return err
		}
	}
	for _, n := range c.resources {
		if err := tx.UpdateResource(ctx, n); err != nil {
			return err
		}
	}
	return tx.InsertEvents(ctx, c.events)
}
