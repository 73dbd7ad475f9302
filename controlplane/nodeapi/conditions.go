package nodeapi

import (
	"context"
	"fmt"
	"net/http"
	"regexp"

	"github.com/google/uuid"

	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/controlplane/history"
	"slipway.build/slipway/controlplane/identity"
	"slipway.build/slipway/controlplane/store"
)

// Limits of a node's conditions. A longer message is cut, not refused.
const (
	maxConditions       = 64
	maxConditionMessage = 1 << 10 // bytes
)

// conditionName is what types and reasons of conditions look like.
var conditionName = regexp.MustCompile(`^[A-Z][A-Za-z0-9]{0,63}$`)

// checkObserved refuses an observation that is not one.
func checkObserved(signal protocol.Signal) error {
	bad := func(format string, a ...any) error {
		return refuse(http.StatusBadRequest, codeBadRequest, "signal %s: %s", signal.ID, fmt.Sprintf(format, a...))
	}
	if signal.Deployment != "" {
		return bad("an observation belongs to no deployment")
	}
	if len(signal.Conditions) > maxConditions {
		return bad("it has %d conditions, more than %d", len(signal.Conditions), maxConditions)
	}
	if signal.Time.IsZero() {
		return bad("it does not say its time")
	}
	seen := map[string]bool{}
	for i, c := range signal.Conditions {
		switch {
		case !conditionName.MatchString(c.Type):
			return bad("conditions[%d].type must be CamelCase of at most 64 letters, not %q", i, cut(c.Type, 40))
		case seen[c.Type]:
			return bad("conditions[%d].type: %s is there twice", i, c.Type)
		case c.Status != "True" && c.Status != "False" && c.Status != "Unknown":
			return bad("conditions[%d].status must be True, False or Unknown, not %q", i, cut(c.Status, 40))
		case c.Reason != "" && !conditionName.MatchString(c.Reason):
			return bad("conditions[%d].reason must be CamelCase of at most 64 letters, not %q", i, cut(c.Reason, 40))
		}
		seen[c.Type] = true
	}
	return nil
}

// observe replaces the node's conditions by newer ones, and adds an event for each that has
// changed its status. One that was never seen before is news only when it means trouble.
func observe(ctx context.Context, tx *store.Tx, node *store.Node, signal protocol.Signal) error {
	known, err := tx.Conditions(ctx, node.ID)
	if err != nil {
		return err
	}
	before := map[string]store.Condition{}
	for _, c := range known {
		before[c.Type] = c
	}
	rows := make([]*store.Condition, len(signal.Conditions))
	for i, c := range signal.Conditions {
		c.Message = cut(c.Message, maxConditionMessage)
		rows[i] = &store.Condition{Type: c.Type, Status: c.Status, Reason: c.Reason, Message: c.Message, Since: c.Since.UTC(), ObservedAt: signal.Time.UTC()}
		earlier, was := before[c.Type]
		delete(before, c.Type)
		if was && earlier.Status == c.Status || !was && c.Status == "False" {
			continue
		}
		if err := conditionEvent(ctx, tx, node, signal.ID, c); err != nil {
			return err
		}
	}
	for _, gone := range before {
		if gone.Status == "False" {
			continue
		}
		c := protocol.Condition{Type: gone.Type, Status: "Unknown", Reason: "NotObserved", Message: "the node observes it no longer"}
		if err := conditionEvent(ctx, tx, node, signal.ID, c); err != nil {
			return err
		}
	}
	return tx.SetConditions(ctx, node.ID, rows)
}

func conditionEvent(ctx context.Context, tx *store.Tx, node *store.Node, signal string, c protocol.Condition) error {
	reason := fmt.Sprintf("Condition %s of node %s is %s", c.Type, node.Name, c.Status)
	if c.Reason != "" {
		reason += " (" + c.Reason + ")"
	}
	if c.Message != "" {
		reason += ": " + c.Message
	}
	return history.OfNode(ctx, tx, node, store.Event{
		ID:     uuid.NewSHA1(uuid.NameSpaceURL, []byte("condition/"+signal+"/"+c.Type)).String(),
		Status: "SIGNAL_IN_PROGRESS", StatusReason: reason, Actor: identity.NodeActor(node.Name),
	})
}
