package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/uptrace/bun"
)

// Signal is a row of signals: what a node has reported, as it came.
type Signal struct {
	bun.BaseModel `bun:"table:signals"`

	Seq        int64           `bun:"seq,pk,autoincrement"`
	ID         string          `bun:"id"` // the node's, unique
	NodeID     string          `bun:"node_id"`
	Deployment string          `bun:"deployment"`
	Phase      string          `bun:"phase"`
	Body       json.RawMessage `bun:"body,type:text"`
	ReceivedAt time.Time       `bun:"received_at"`
}

// InsertSignals stores signals and wakes the subscribers of their nodes. Those that are there
// already are left out; it returns how many were new.
func (tx *Tx) InsertSignals(ctx context.Context, ss []*Signal) (int64, error) {
	if len(ss) == 0 {
		return 0, nil
	}
	for _, s := range ss {
		s.ReceivedAt = tx.now
		tx.Notify(NodeTopic(s.NodeID))
	}
	res, err := tx.db.NewInsert().Model(&ss).On("CONFLICT (id) DO NOTHING").Returning("NULL").Exec(ctx)
	if err != nil {
		return 0, fmt.Errorf("insert signals: %w", err)
	}
	return affected(res), nil
}

// Signals lists the signals of a deployment with Seq greater than after, in order of arrival.
func (r Reader) Signals(ctx context.Context, deployment string, after int64) ([]Signal, error) {
	var ss []Signal
	if err := r.db.NewSelect().Model(&ss).Where("deployment = ?", deployment).Where("seq > ?", after).OrderExpr("seq").Scan(ctx); err != nil {
		return nil, fmt.Errorf("list signals of deployment %s: %w", deployment, err)
	}
	return ss, nil
}

// HasSignal reports whether a signal with that id is there.
func (r Reader) HasSignal(ctx context.Context, id string) (bool, error) {
	found, err := r.db.NewSelect().Model((*Signal)(nil)).Where("id = ?", id).Exists(ctx)
	if err != nil {
		return false, fmt.Errorf("find signal %s: %w", id, err)
	}
	return found, nil
}

// HasPhase reports whether the node has told of that phase of the deployment.
func (r Reader) HasPhase(ctx context.Context, node, deployment, phase string) (bool, error) {
	found, err := r.db.NewSelect().Model((*Signal)(nil)).
		Where("deployment = ?", deployment).Where("node_id = ?", node).Where("phase = ?", phase).Exists(ctx)
	if err != nil {
		return false, fmt.Errorf("find signals of deployment %s: %w", deployment, err)
	}
	return found, nil
}

// PruneSignals drops the node's signals of the phase but the newest keep.
func (tx *Tx) PruneSignals(ctx context.Context, node, phase string, keep int) error {
	_, err := tx.exec(ctx, "drop old signals of node "+node,
		`DELETE FROM signals WHERE node_id = ? AND phase = ? AND seq NOT IN
		 (SELECT seq FROM signals WHERE node_id = ? AND phase = ? ORDER BY seq DESC LIMIT ?)`, node, phase, node, phase, keep)
	return err
}

// NodeSignals lists up to limit signals of the node, the newest first.
func (r Reader) NodeSignals(ctx context.Context, node string, limit int) ([]Signal, error) {
	var ss []Signal
	if err := r.db.NewSelect().Model(&ss).Where("node_id = ?", node).OrderExpr("seq DESC").Limit(int64(limit)).Scan(ctx); err != nil {
		return nil, fmt.Errorf("list signals of node %s: %w", node, err)
	}
	return ss, nil
}
