package actions

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/controlplane/history"
	"slipway.build/slipway/controlplane/identity"
	"slipway.build/slipway/controlplane/store"
)

// Answer takes what a node says of an action. Saying it again changes nothing. A refusal of an
// action that the node has ended, or that is another node's, only goes into the history.
func Answer(ctx context.Context, tx *store.Tx, node *store.Node, signal protocol.Signal) error {
	row, err := tx.Action(ctx, signal.Action.ID)
	if err != nil && !store.IsNotFound(err) {
		return err
	}
	status := signal.Action.Status
	if err != nil || row.NodeID != node.ID {
		return noteForeign(ctx, tx, node, signal)
	}
	if row.Ended() && row.State != store.ActionExpired {
		if status == protocol.ActionRefused {
			return tellOnce(ctx, tx, node, row, nodeActor(node), "again-"+signal.Action.ID, "delivered once more and refused: "+signal.Reason)
		}
		return nil
	}
	news := ""
	switch status {
	case protocol.ActionStarted:
		if row.State != store.ActionStarted {
			row.State, row.StartedAt, row.EndedAt, row.Reason, news = store.ActionStarted, signal.Time.UTC(), time.Time{}, "", "started"
		}
	case protocol.ActionExpired:
		if row.State == store.ActionExpired {
			return nil
		}
		fallthrough
	default:
		row.State, row.EndedAt, row.Reason, news = string(status), tx.Now(), signal.Reason, string(status)
		if signal.Reason != "" {
			news += ": " + signal.Reason
		}
	}
	answer := signal
	answer.Node, answer.PlanDigest = "", ""
	if row.Answer, err = json.Marshal(answer); err != nil {
		return err
	}
	if err := tx.UpdateAction(ctx, row); err != nil {
		return err
	}
	if news == "" {
		return nil
	}
	return tell(ctx, tx, node, row, nodeActor(node), news)
}

// noteForeign keeps in the history that a node refused what was not meant for it.
func noteForeign(ctx context.Context, tx *store.Tx, node *store.Node, signal protocol.Signal) error {
	return history.OfNode(ctx, tx, node, store.Event{
		ID:     uuid.NewSHA1(uuid.NameSpaceURL, []byte("action/"+signal.Action.ID+"/foreign/"+node.ID)).String(),
		Status: "SIGNAL_FAILED", Actor: nodeActor(node),
		StatusReason: fmt.Sprintf("Action %s, which is none of node %s, was refused by it: %s", signal.Action.ID, node.Name, signal.Reason),
	})
}

// expire ends an action that was not begun in time.
func expire(ctx context.Context, tx *store.Tx, id string) error {
	row, err := tx.Action(ctx, id)
	if err != nil {
		return err
	}
	if row.State != store.ActionRequested && row.State != store.ActionDelivered {
		return nil
	}
	reason := "the node did not ask for it in time"
	if row.State == store.ActionDelivered {
		reason = "the node has it and did not begin in time"
	}
	row.State, row.EndedAt, row.Reason = store.ActionExpired, tx.Now(), reason
	if err := tx.UpdateAction(ctx, row); err != nil {
		return err
	}
	node, err := tx.Node(ctx, row.NodeID)
	if err != nil {
		return err
	}
	return tell(ctx, tx, node, row, identity.ControlPlaneActor, "expired: "+reason)
}

func nodeActor(node *store.Node) string { return identity.NodeActor(node.Name) }

// tell adds the event of an action's state.
func tell(ctx context.Context, tx *store.Tx, node *store.Node, row *store.Action, actor, news string) error {
	return tellOnce(ctx, tx, node, row, actor, row.State, news)
}

func tellOnce(ctx context.Context, tx *store.Tx, node *store.Node, row *store.Action, actor, key, news string) error {
	status := "SIGNAL_IN_PROGRESS"
	switch {
	case row.State == store.ActionDone && key == row.State:
		status = "SIGNAL_COMPLETE"
	case row.Ended():
		status = "SIGNAL_FAILED"
	}
	const longest = 4 << 10
	if len(news) > longest {
		news = strings.ToValidUTF8(news[:longest], "") + "…"
	}
	return history.OfNode(ctx, tx, node, store.Event{
		ID:     uuid.NewSHA1(uuid.NameSpaceURL, []byte("action/"+row.ID+"/"+key)).String(),
		Status: status, Actor: actor,
		StatusReason: fmt.Sprintf("Action %s (%s) for %s %s", Describe(row), row.ID, row.Actor, news),
	})
}
