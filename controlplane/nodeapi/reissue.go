package nodeapi

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/controlplane/history"
	"slipway.build/slipway/controlplane/identity"
	"slipway.build/slipway/controlplane/store"
)

// endOfLife is the part of a plan's life in which it is issued anew rather than delivered: a node
// whose clock is somewhat ahead, or that is slow, must still find it valid.
const endOfLife = 10

// reissue returns the plan that a node gets that does not have row: row itself, or the same content
// under the next generation and with a new time to apply it when row's is over or nearly so. A node
// that has taken row up brings it to its end whatever the time is, so for it nothing is issued.
func (s *Server) reissue(ctx context.Context, node *store.Node, row *store.Plan) (*store.Plan, error) {
	p, err := s.System.Plans.Open(ctx, row.Envelope)
	if err != nil || !s.ending(p) { // what is not ours is the node's to refuse
		return row, nil
	}
	var fresh *store.Plan
	err = s.Store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		newest, err := tx.CurrentPlan(ctx, node.ID)
		if err != nil {
			return err
		}
		known, err := answered(ctx, tx, newest)
		if err != nil || known || newest.Seq != row.Seq { // another call was faster
			fresh = newest
			return err
		}
		fresh, err = s.publishAnew(ctx, tx, node, p)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("issue plan %d of node %s anew: %w", row.Generation, node.Name, err)
	}
	return fresh, nil
}

// ending reports whether less than a tenth of the time in which the plan may be applied is left.
func (s *Server) ending(p *plan.Plan) bool {
	return p.Expires.Sub(s.Now()) < p.Expires.Sub(p.Issued)/endOfLife
}

// answered reports whether the node has said anything of the plan: it tells that it takes one up in
// the moment in which it does, and a refusal ends the deployment.
func answered(ctx context.Context, tx *store.Tx, row *store.Plan) (bool, error) {
	known, err := tx.Signals(ctx, row.Deployment, 0)
	if err != nil {
		return false, err
	}
	for _, earlier := range known {
		var signal protocol.Signal
		if err := json.Unmarshal(earlier.Body, &signal); err != nil {
			return false, fmt.Errorf("signal %s: %w", earlier.ID, err)
		}
		if earlier.NodeID == row.NodeID && signal.PlanDigest == row.Digest {
			return true, nil
		}
	}
	return false, nil
}

// publishAnew adds the plan's content as the node's next generation, for the same deployment.
func (s *Server) publishAnew(ctx context.Context, tx *store.Tx, node *store.Node, p *plan.Plan) (*store.Plan, error) {
	before := *p
	p.Generation++
	p.Issue(s.Now(), before.Expires.Sub(before.Issued))
	canonical, err := p.Canonical()
	if err != nil {
		return nil, err
	}
	envelope, err := s.System.Plans.Sign(ctx, canonical)
	if err != nil {
		return nil, err
	}
	row := &store.Plan{
		NodeID: node.ID, Generation: p.Generation, Deployment: p.Deployment, Digest: plan.DigestOf(canonical), Envelope: envelope,
	}
	if err := tx.InsertPlan(ctx, row); err != nil {
		return nil, err
	}
	event := &store.Event{
		ID:        uuid.NewSHA1(uuid.NameSpaceURL, []byte("reissue/"+node.ID+"/"+row.Digest)).String(),
		ClusterID: node.ClusterID, ResourceName: node.Name, PhysicalID: node.ID, ResourceType: history.NodeType,
		Status: "SIGNAL_IN_PROGRESS", Actor: identity.ControlPlaneActor,
		StatusReason: fmt.Sprintf("Plan %d of node %s could be applied until %s only: issued anew as plan %d, to be begun before %s",
			before.Generation, node.Name, before.Expires.Format(time.RFC3339), p.Generation, p.Expires.Format(time.RFC3339)),
	}
	if err := history.Place(ctx, tx, event, p.Deployment); err != nil {
		return nil, err
	}
	return row, tx.InsertEvents(ctx, []*store.Event{event})
}
