// Package history puts events about nodes where people look for them: at the resource that
// stands for the node or its deployment in the cluster's stack.
package history

import (
	"context"

	"slipway.build/slipway/controlplane/store"
)

// NodeType is the resource type of events about a node that no resource stands for.
const NodeType = "Slipway::Node::Registration"

// Place puts an event where the resource with that id or, in the cluster's stack, that physical
// id is. When there is none the event stays with the node, in the cluster's stack if it has one.
func Place(ctx context.Context, tx *store.Tx, event *store.Event, id string) error {
	resource, err := tx.Resource(ctx, id)
	if err != nil && !store.IsNotFound(err) {
		return err
	}
	if err == nil {
		stack, err := tx.Stack(ctx, resource.StackID)
		if err != nil {
			return err
		}
		fill(event, stack, resource)
		return nil
	}
	roots, err := tx.Stacks(ctx, store.StackFilter{Cluster: event.ClusterID}, store.Page{Descending: true, Limit: 1})
	if err != nil || len(roots) == 0 {
		return err
	}
	resource, err = tx.FindResource(ctx, roots[0].ID, id)
	if store.IsNotFound(err) {
		event.RootID, event.StackID, event.StackName = roots[0].RootID, roots[0].ID, roots[0].Name
		return nil
	}
	if err != nil {
		return err
	}
	fill(event, &roots[0], resource)
	return nil
}

// OfNode adds an event about a node to its cluster's history. An event whose id is there already
// is left out.
func OfNode(ctx context.Context, tx *store.Tx, node *store.Node, event store.Event) error {
	event.ClusterID, event.ResourceName, event.PhysicalID, event.ResourceType = node.ClusterID, node.Name, node.ID, NodeType
	if err := Place(ctx, tx, &event, node.ID); err != nil {
		return err
	}
	return tx.InsertEvents(ctx, []*store.Event{&event})
}

func fill(event *store.Event, stack *store.Stack, resource *store.Resource) {
	event.RootID, event.StackID, event.StackName = stack.RootID, stack.ID, stack.Name
	event.ResourceName, event.ResourceType = resource.Name, resource.Type
	event.PhysicalID = resource.PhysicalID
	if event.PhysicalID == "" {
		event.PhysicalID = resource.ID
	}
}
