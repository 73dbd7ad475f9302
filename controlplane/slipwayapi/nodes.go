package slipwayapi

import (
	"context"
	"encoding/json"
	"net/http"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/controlplane/nodeapi"
	"slipway.build/slipway/controlplane/store"
)

// nodeItem is a node in a list.
type nodeItem struct {
	ID          string  `json:"id"`
	Name        string  `json:"name"`
	ClusterID   string  `json:"cluster_id"`
	ClusterName string  `json:"cluster_name"`
	Nodegroup   string  `json:"nodegroup_id"`
	Role        string  `json:"role"`
	Address     string  `json:"address"`
	PodCIDR     string  `json:"pod_cidr"`
	State       string  `json:"state"` // registered, joined or removed
	JoinedAt    *string `json:"joined_at"`
	LastSeen    *string `json:"last_seen"`
	// Generation and PlanDigest are those of the newest plan that was published for it.
	Generation uint64 `json:"generation"`
	PlanDigest string `json:"plan_digest,omitempty"`
	// Phase is how far the node is, by its latest report.
	Phase      string             `json:"phase"`
	Progress   *protocol.Progress `json:"progress,omitempty"`
	Reason     string             `json:"reason,omitempty"`
	Conditions []conditionItem    `json:"conditions"`
}

type conditionItem struct {
	Type    string  `json:"type"`
	Status  string  `json:"status"`
	Reason  string  `json:"reason"`
	Message string  `json:"message"`
	Since   *string `json:"since"`
}

// nodeDetail is one node with all that is known of it.
type nodeDetail struct {
	nodeItem
	Deployment  string            `json:"deployment,omitempty"`
	Lock        string            `json:"lock,omitempty"`
	Images      []imageItem       `json:"images"`
	Units       []string          `json:"units"`
	Certificate *certificateItem  `json:"certificate"`
	Signals     []protocol.Signal `json:"signals"` // the newest first
	Actions     []actionItem      `json:"actions"` // the newest first
}

type imageItem struct {
	Name       string `json:"name"`
	Repository string `json:"repository"`
	Digest     string `json:"digest"`
}

type certificateItem struct {
	Serial   string  `json:"serial"`
	NotAfter *string `json:"not_after"`
}

// The bounds of a node's details.
const (
	shownSignals = 20
	shownActions = 20
)

func (s *server) listNodes(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	cluster, err := s.cluster(ctx, r.PathValue("cluster"))
	if err != nil {
		return err
	}
	nodes, err := s.Store.Nodes(ctx, cluster.UUID, "")
	if err != nil {
		return err
	}
	items := []nodeItem{}
	for i := range nodes {
		item, _, err := s.item(ctx, &nodes[i], cluster)
		if err != nil {
			return err
		}
		items = append(items, item)
	}
	return writeJSON(w, http.StatusOK, map[string]any{"nodes": items})
}

// item is the node as lists show it, with its newest plan's row, nil when it has none.
func (s *server) item(ctx context.Context, node *store.Node, cluster *store.Cluster) (nodeItem, *store.Plan, error) {
	item := nodeItem{
		ID: node.ID, Name: node.Name, ClusterID: node.ClusterID, ClusterName: cluster.Name, Nodegroup: node.Nodegroup, Role: node.Role,
		Address: node.Address, PodCIDR: node.PodCIDR, State: node.State, JoinedAt: instant(node.JoinedAt), LastSeen: instant(node.SeenAt),
		Conditions: []conditionItem{},
	}
	row, err := s.Store.CurrentPlan(ctx, node.ID)
	switch {
	case err == nil:
		item.Generation, item.PlanDigest = row.Generation, row.Digest
	case store.IsNotFound(err):
		row = nil
	default:
		return nodeItem{}, nil, err
	}
	report, found, err := nodeapi.LastReport(ctx, s.Store, node.ClusterID, node.ID)
	if err != nil {
		return nodeItem{}, nil, err
	}
	if found {
		item.Phase, item.Progress, item.Reason = string(report.Phase), report.Progress, report.Reason
	}
	conditions, err := s.Store.Conditions(ctx, node.ID)
	if err != nil {
		return nodeItem{}, nil, err
	}
	for _, c := range conditions {
		item.Conditions = append(item.Conditions, conditionItem{c.Type, c.Status, c.Reason, c.Message, instant(c.Since)})
	}
	return item, row, nil
}

func (s *server) showNode(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	node, err := s.node(r)
	if err != nil {
		return err
	}
	cluster, err := s.cluster(ctx, node.ClusterID)
	if err != nil {
		return err
	}
	detail := nodeDetail{Images: []imageItem{}, Units: []string{}, Signals: []protocol.Signal{}, Actions: []actionItem{}}
	var row *store.Plan
	if detail.nodeItem, row, err = s.item(ctx, node, cluster); err != nil {
		return err
	}
	if row != nil {
		detail.addPlan(row)
	}
	leaf, found, err := nodeapi.Certificate(ctx, s.Store, node)
	if err != nil {
		return err
	}
	if found {
		detail.Certificate = &certificateItem{leaf.SerialNumber.Text(16), instant(leaf.NotAfter)}
	}
	signals, err := s.Store.NodeSignals(ctx, node.ID, shownSignals)
	if err != nil {
		return err
	}
	for _, row := range signals {
		var signal protocol.Signal
		if err := json.Unmarshal(row.Body, &signal); err != nil {
			return err
		}
		detail.Signals = append(detail.Signals, signal)
	}
	rows, err := s.Store.Actions(ctx, node.ID, shownActions)
	if err != nil {
		return err
	}
	for i := range rows {
		detail.Actions = append(detail.Actions, viewAction(node, &rows[i]))
	}
	return writeJSON(w, http.StatusOK, detail)
}

// addPlan shows what the newest plan brings. One that cannot be read is the node's to refuse;
// here it only has no parts.
func (d *nodeDetail) addPlan(row *store.Plan) {
	d.Deployment = row.Deployment
	p, err := plan.Peek(row.Envelope)
	if err != nil {
		return
	}
	d.Lock = p.Lock
	for _, image := range p.Images {
		d.Images = append(d.Images, imageItem{image.Name, image.Repository, image.Digest})
	}
	for _, unit := range p.Units {
		d.Units = append(d.Units, unit.Name)
	}
}
