package actions

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"

	"slipway.build/slipway/agent/action"
	"slipway.build/slipway/controlplane/fault"
	"slipway.build/slipway/controlplane/store"
)

// Signer signs requests with the control plane's plan key; pki.PlanSigner is one.
type Signer interface {
	SignAction(ctx context.Context, request *action.Request) ([]byte, error)
}

// Desk takes requests for actions and the nodes' answers.
type Desk struct {
	Store    *store.Store
	Signer   Signer
	Archives *Archives
	Now      func() time.Time
	Log      *slog.Logger
}

// Order is what somebody wants of a node.
type Order struct {
	Kind      action.Kind
	Arguments action.Arguments
	Actor     string        // such as "user:alice"
	Life      time.Duration // until it expires; DefaultLife when 0
}

const (
	// DefaultLife is long enough for a node that polls, and for one that is just booting.
	DefaultLife = 10 * time.Minute
	// maxWaiting bounds the actions of a node that it has not begun.
	maxWaiting = 32
)

// Request stores an action for the node and wakes it. A conflict means that the node cannot have
// one more now; a terminal error that the order is wrong.
func (d *Desk) Request(ctx context.Context, node *store.Node, order Order) (*store.Action, error) {
	if order.Life == 0 {
		order.Life = DefaultLife
	}
	if err := action.ValidateArguments(order.Kind, order.Arguments); err != nil {
		return nil, fault.Terminalf("%w", err)
	}
	arguments, err := json.Marshal(order.Arguments)
	if err != nil {
		return nil, err
	}
	now := d.Now().UTC().Truncate(time.Second)
	row := &store.Action{
		ID: uuid.NewString(), ClusterID: node.ClusterID, NodeID: node.ID, Kind: string(order.Kind), Arguments: arguments,
		Actor: order.Actor, LockDigest: order.Arguments.Lock, CreatedAt: now, ExpiresAt: now.Add(order.Life),
	}
	err = d.Store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		current, err := tx.Node(ctx, node.ID)
		if err != nil {
			return err
		}
		if current.State != store.NodeJoined {
			return fault.Conflictf("node %s is %s: only a node that has joined can do something", node.Name, current.State)
		}
		waiting, err := tx.PendingActions(ctx, node.ID, now)
		if err != nil {
			return err
		}
		if len(waiting) >= maxWaiting {
			return fault.Conflictf("node %s has not begun %d actions yet; wait until they end or expire", node.Name, len(waiting))
		}
		if row.Number, err = tx.NextActionNumber(ctx, node.ID); err != nil {
			return err
		}
		if row.Envelope, err = d.Signer.SignAction(ctx, &action.Request{
			Schema: action.Schema, ID: row.ID, Node: node.ID, Number: row.Number, Kind: order.Kind, Arguments: order.Arguments,
			Actor: order.Actor, Issued: now, Expires: row.ExpiresAt,
		}); err != nil {
			return fault.Terminalf("%w", err)
		}
		if err := tx.InsertAction(ctx, row); err != nil {
			return err
		}
		return tell(ctx, tx, node, row, order.Actor, "requested, to be begun before "+row.ExpiresAt.Format(time.RFC3339))
	})
	if err != nil {
		return nil, err
	}
	d.Log.InfoContext(ctx, "action requested", "id", row.ID, "node", node.Name, "kind", row.Kind, "actor", row.Actor)
	return row, nil
}

// Delivered notes that the node gets these actions now.
func (d *Desk) Delivered(ctx context.Context, node *store.Node, pending []store.Action) error {
	fresh := false
	for i := range pending {
		fresh = fresh || pending[i].State == store.ActionRequested
	}
	if !fresh {
		return nil
	}
	return d.Store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		for i := range pending {
			row, err := tx.Action(ctx, pending[i].ID)
			if err != nil {
				return err
			}
			if row.State != store.ActionRequested {
				continue
			}
			row.State, row.DeliveredAt = store.ActionDelivered, tx.Now()
			if err := tx.UpdateAction(ctx, row); err != nil {
				return err
			}
			if err := tell(ctx, tx, node, row, nodeActor(node), "delivered"); err != nil {
				return err
			}
		}
		return nil
	})
}

// Describe says in a few words what an action is to do.
func Describe(row *store.Action) string {
	var arguments action.Arguments
	if json.Unmarshal(row.Arguments, &arguments) != nil {
		return row.Kind
	}
	var words []string
	if arguments.Unit != "" {
		words = append(words, arguments.Unit)
	}
	for _, name := range arguments.Checks {
		words = append(words, string(name))
	}
	words = append(words, arguments.Certificates...)
	for _, image := range arguments.Images {
		words = append(words, image.Name)
	}
	if len(words) == 0 {
		return row.Kind
	}
	return fmt.Sprintf("%s %s", row.Kind, strings.Join(words, " "))
}
