package nodeapi

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/controlplane/history"
	"slipway.build/slipway/controlplane/identity"
	"slipway.build/slipway/controlplane/store"
)

// maxActor bounds what a node may say of who caused something, in bytes.
const maxActor = 64

// addSignalEvent adds the event that tells of a signal, in Heat's words where Heat has them.
func addSignalEvent(ctx context.Context, tx *store.Tx, node *store.Node, signal protocol.Signal) error {
	event := &store.Event{
		ID:        uuid.NewSHA1(uuid.NameSpaceURL, []byte("signal/"+signal.ID)).String(),
		ClusterID: node.ClusterID, ResourceName: node.Name, PhysicalID: node.ID, ResourceType: history.NodeType,
		Status: "SIGNAL_IN_PROGRESS", StatusReason: cut(signalReason(signal), maxReason), Actor: identity.NodeActor(node.Name),
	}
	if signal.Actor != "" { // as the node says
		event.Actor += ", " + signal.Actor
	}
	if signal.Phase == protocol.Refused {
		event.Status = "SIGNAL_FAILED"
	}
	about := signal.Deployment
	if about == "" {
		about = node.ID
	}
	if err := history.Place(ctx, tx, event, about); err != nil {
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
	case protocol.Refused:
		return "Signal: the node refused what it was given: " + signal.Reason
	case protocol.RolledBack:
		return fmt.Sprintf("Signal: deployment %s rolled back: %s", signal.Deployment, signal.Reason)
	case protocol.Joined:
		return "Signal: the agent has begun"
	}
	return fmt.Sprintf("Signal: deployment %s %s", signal.Deployment, signal.Phase)
}
