package store

import (
	"context"
	"fmt"
	"time"

	"github.com/uptrace/bun"
)

// Plan is a row of plans: one signed generation of one node.
type Plan struct {
	bun.BaseModel `bun:"table:plans"`

	Seq        int64     `bun:"seq,pk,autoincrement"`
	NodeID     string    `bun:"node_id"`
	Generation uint64    `bun:"generation"`
	Deployment string    `bun:"deployment"`
	Digest     string    `bun:"digest"`   // sha256:… of the canonical plan
	Envelope   []byte    `bun:"envelope"` // DSSE JSON
	CreatedAt  time.Time `bun:"created_at"`
}

// InsertPlan publishes a plan and wakes the node's long poll. A generation that exists is a
// conflict.
func (tx *Tx) InsertPlan(ctx context.Context, p *Plan) error {
	p.CreatedAt = tx.now
	last, err := tx.CurrentPlan(ctx, p.NodeID)
	switch {
	case err == nil && last.Generation >= p.Generation:
		return conflict("plan of node %s: generation %d is there already, %d cannot follow", p.NodeID, last.Generation, p.Generation)
	case err != nil && !IsNotFound(err):
		return err
	}
	tx.Notify(NodeTopic(p.NodeID))
	return tx.insert(ctx, "plan of node "+p.NodeID, p)
}

// CurrentPlan returns the node's newest plan, or ErrNotFound.
func (r Reader) CurrentPlan(ctx context.Context, node string) (*Plan, error) {
	p := new(Plan)
	err := r.db.NewSelect().Model(p).Where("node_id = ?", node).OrderExpr("generation DESC").Limit(1).Scan(ctx)
	return p, notFound(err, "plan of node", node)
}

// PlanOf returns the node's plan for that deployment, or ErrNotFound.
func (r Reader) PlanOf(ctx context.Context, node, deployment string) (*Plan, error) {
	p := new(Plan)
	err := r.db.NewSelect().Model(p).Where("node_id = ?", node).Where("deployment = ?", deployment).OrderExpr("generation DESC").Limit(1).Scan(ctx)
	return p, notFound(err, "plan of node", fmt.Sprintf("%s for deployment %s", node, deployment))
}
