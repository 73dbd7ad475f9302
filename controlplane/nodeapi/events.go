package nodeapi

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/controlplane/identity"
	"slipway.build/slipway/controlplane/store"
)

// nodeResourceType is the resource type of events about a node that no resource stands for.
const nodeResourceType = "Slipway::Node::Registration"

// addSignalEvent adds the event that tells of a signal, in Heat's words where Heat has them.
func addSignalEvent(ctx context.Context, tx *store.Tx, node *store.Node, signal protocol.Signal) error {
	event := &store.Event{
		ID:        uuid.NewSHA1(uuid.NameSpaceURL, []byte("signal/"+signal.ID)).String(),
		ClusterID: node.ClusterID, ResourceName: node.Name, PhysicalID: node.ID, ResourceType: nodeResourceType,
		Status: "SIGNAL_IN_PROGRESS", StatusReason: cut(signalReason(signal), maxReason), Actor: identity.NodeActor(node.Name),
	}
	about := signal.Deployment
	if about == "" {
		about = node.ID
	}
	if err := place(ctx, tx, event, about); err != nil {
		return err
	}
	return tx.InsertEvents(ctx, []*store.Event{event})
}

func signalReason(signal protocol.Signal) string {
	switch signal.Phase {
	case protocol.Healthy:
		return fmt.Sprintf("Signal: deployment %s succeeded", signal.Deployment)
	case protocol.Failed:
		return fmt.Sprintf("Signal: deployment %s failed: %s", signal.Deployment, signal.Reason)
	case protocol.RolledBack:
		return fmt.Sprintf("Signal: deployment %s rolled back: %s", signal.Deployment, signal.Reason)
	case protocol.Joined:
		return "Signal: the agent has begun"
	}
	return fmt.Sprintf("Signal: deployment %s %s", signal.Deployment, signal.Phase)
}

// place puts an event where the resource with that id or, in the cluster's stack, that physical
// id is. When there is none the event stays with the node, in the cluster's stack if it has one.
func place(ctx context.Context, tx *store.Tx, event *store.Event, id string) error {
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

func fill(event *store.Event, stack *store.Stack, resource *store.Resource) {
	event.RootID, event.StackID, event.StackName = stack.RootID, stack.ID, stack.Name
	event.ResourceName, event.ResourceType = resource.Name, resource.Type
	event.PhysicalID = resource.PhysicalID
	if event.PhysicalID == "" {
		event.PhysicalID = resource.ID
	}
}
