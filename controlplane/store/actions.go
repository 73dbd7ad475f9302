package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/uptrace/bun"
)

// The states of an action. The last five end it; of these only ActionExpired may still change,
// when the node tells of an action that it began in time.
const (
	ActionRequested = "requested" // waits for the node to ask
	ActionDelivered = "delivered" // the node has it
	ActionStarted   = "started"   // the node has begun
	ActionDone      = "done"
	ActionFailed    = "failed"
	ActionRefused   = "refused" // by the node, before it began
	ActionExpired   = "expired" // the node had not begun when its time was up
)

// Action is a row of actions: one request to one node, and what became of it.
type Action struct {
	bun.BaseModel `bun:"table:actions"`

	Seq       int64  `bun:"seq,pk,autoincrement"`
	ID        string `bun:"id"` // UUID
	ClusterID string `bun:"cluster_id"`
	NodeID    string `bun:"node_id"`
	// Number counts the node's actions from 1 on.
	Number    uint64          `bun:"number"`
	Kind      string          `bun:"kind"`
	Arguments json.RawMessage `bun:"arguments,type:text"`
	Actor     string          `bun:"actor"`
	State     string          `bun:"state"`
	Reason    string          `bun:"reason"`
	Answer    json.RawMessage `bun:"answer,type:text"` // the node's last signal about it; {} before
	// LockDigest names the lock that is delivered with the action; empty for none.
	LockDigest    string    `bun:"lock_digest"`
	Envelope      []byte    `bun:"envelope"` // DSSE JSON
	ArchiveSize   int64     `bun:"archive_size"`
	ArchiveSHA256 string    `bun:"archive_sha256"` // hex; empty while there is no archive
	CreatedAt     time.Time `bun:"created_at"`
	ExpiresAt     time.Time `bun:"expires_at"`
	DeliveredAt   time.Time `bun:"delivered_at,nullzero"`
	StartedAt     time.Time `bun:"started_at,nullzero"`
	EndedAt       time.Time `bun:"ended_at,nullzero"`
}

// Ended reports whether nothing more is expected of the action.
func (a *Action) Ended() bool {
	switch a.State {
	case ActionDone, ActionFailed, ActionRefused, ActionExpired:
		return true
	}
	return false
}

// keptActions is how many ended actions of a node stay.
const keptActions = 200

// NextActionNumber returns the number of the node's next action.
func (tx *Tx) NextActionNumber(ctx context.Context, node string) (uint64, error) {
	var highest uint64
	if err := tx.db.NewRaw(`SELECT COALESCE(MAX(number), 0) FROM actions WHERE node_id = ?`, node).Scan(ctx, &highest); err != nil {
		return 0, fmt.Errorf("number an action of node %s: %w", node, err)
	}
	return highest + 1, nil
}

// InsertAction adds an action, wakes the node's long poll, and drops the oldest of the node's
// ended actions beyond the newest 200.
func (tx *Tx) InsertAction(ctx context.Context, a *Action) error {
	if a.Answer == nil {
		a.Answer = json.RawMessage("{}")
	}
	if a.CreatedAt.IsZero() {
		a.CreatedAt = tx.now
	}
	a.State = ActionRequested
	tx.Notify(NodeTopic(a.NodeID), TopicActions)
	if err := tx.insert(ctx, "action "+a.ID, a); err != nil {
		return err
	}
	if a.Number <= keptActions {
		return nil
	}
	_, err := tx.exec(ctx, "drop old actions of node "+a.NodeID,
		`DELETE FROM actions WHERE node_id = ? AND number <= ? AND state IN (?, ?, ?, ?)`,
		a.NodeID, a.Number-keptActions, ActionDone, ActionFailed, ActionRefused, ActionExpired)
	return err
}

// UpdateAction writes what can change of an action, and wakes those who wait for it.
func (tx *Tx) UpdateAction(ctx context.Context, a *Action) error {
	tx.Notify(ActionTopic(a.ID))
	return tx.updateModel(ctx, "action "+a.ID, a,
		[]string{"seq", "id", "cluster_id", "node_id", "number", "kind", "arguments", "actor", "envelope", "lock_digest", "created_at", "expires_at"}, "id = ?", a.ID)
}

// Action returns the action with that id, or ErrNotFound.
func (r Reader) Action(ctx context.Context, id string) (*Action, error) {
	a := new(Action)
	err := r.db.NewSelect().Model(a).Where("id = ?", id).Scan(ctx)
	return a, notFound(err, "action", id)
}

// Actions lists up to limit actions of the node, the newest first.
func (r Reader) Actions(ctx context.Context, node string, limit int) ([]Action, error) {
	var as []Action
	if err := r.db.NewSelect().Model(&as).Where("node_id = ?", node).OrderExpr("number DESC").Limit(int64(limit)).Scan(ctx); err != nil {
		return nil, fmt.Errorf("list actions of node %s: %w", node, err)
	}
	return as, nil
}

// PendingActions lists the node's actions that it has not begun and that have not expired at
// that time, in the order of their numbers.
func (r Reader) PendingActions(ctx context.Context, node string, at time.Time) ([]Action, error) {
	var as []Action
	err := r.db.NewSelect().Model(&as).Where("node_id = ?", node).Where("state IN (?, ?)", ActionRequested, ActionDelivered).
		Where("expires_at > ?", at.UTC()).OrderExpr("number").Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("list pending actions of node %s: %w", node, err)
	}
	return as, nil
}

// OverdueActions lists actions of all nodes that were not begun by that time and should have
// been, the one due first ahead.
func (r Reader) OverdueActions(ctx context.Context, at time.Time) ([]Action, error) {
	var as []Action
	err := r.db.NewSelect().Model(&as).Where("state IN (?, ?)", ActionRequested, ActionDelivered).
		Where("expires_at <= ?", at.UTC()).OrderExpr("expires_at").Limit(insertRows).Scan(ctx)
	if err != nil {
		return nil, fmt.Errorf("list overdue actions: %w", err)
	}
	return as, nil
}

// NextExpiry returns when the next action that was not begun expires, false when there is none.
func (r Reader) NextExpiry(ctx context.Context) (time.Time, bool, error) {
	var as []Action
	err := r.db.NewSelect().Model(&as).Column("expires_at").Where("state IN (?, ?)", ActionRequested, ActionDelivered).
		OrderExpr("expires_at").Limit(1).Scan(ctx)
	if err != nil {
		return time.Time{}, false, fmt.Errorf("find the next action to expire: %w", err)
	}
	if len(as) == 0 {
		return time.Time{}, false, nil
	}
	return as[0].ExpiresAt, true, nil
}
