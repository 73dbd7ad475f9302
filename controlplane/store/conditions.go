package store

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"
)

// Condition is a row of node_conditions: one thing about a node, as it has observed it last.
type Condition struct {
	bun.BaseModel `bun:"table:node_conditions"`

	Seq        int64     `bun:"seq,pk,autoincrement"`
	NodeID     string    `bun:"node_id"`
	Type       string    `bun:"type"`
	Status     string    `bun:"status"`
	Reason     string    `bun:"reason"`
	Message    string    `bun:"message"`
	Since      time.Time `bun:"since"`       // by the node's clock
	ObservedAt time.Time `bun:"observed_at"` // by the node's clock
}

// SetConditions replaces the node's conditions by these and wakes the node's subscribers.
func (tx *Tx) SetConditions(ctx context.Context, node string, conditions []*Condition) error {
	if _, err := tx.exec(ctx, "replace conditions of node "+node, `DELETE FROM node_conditions WHERE node_id = ?`, node); err != nil {
		return err
	}
	tx.Notify(NodeTopic(node))
	if len(conditions) == 0 {
		return nil
	}
	for _, c := range conditions {
		c.NodeID = node
	}
	return insertAll(ctx, tx, "conditions of node "+node, conditions, "")
}

// Conditions lists the node's conditions by type.
func (r Reader) Conditions(ctx context.Context, node string) ([]Condition, error) {
	var cs []Condition
	if err := r.db.NewSelect().Model(&cs).Where("node_id = ?", node).OrderExpr("type").Scan(ctx); err != nil {
		return nil, fmt.Errorf("list conditions of node %s: %w", node, err)
	}
	return cs, nil
}
