package heatapi

import (
	"net/http"

	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/controlplane/nodeapi"
	"slipway.build/slipway/controlplane/orchestration/engine"
	"slipway.build/slipway/controlplane/store"
)

// registrationType is the type of the resources that stand for nodes.
const registrationType = "Slipway::Node::Registration"

// graphNode is a resource of the whole tree of stacks.
type graphNode struct {
	ID                 string  `json:"id"`
	Name               string  `json:"name"`
	Type               string  `json:"type"`
	Status             string  `json:"status"`
	StatusReason       string  `json:"status_reason"`
	PhysicalResourceID string  `json:"physical_resource_id"`
	StackID            string  `json:"stack_id"`
	StackName          string  `json:"stack_name"`
	Parent             *string `json:"parent"` // id of the resource that the stack is nested in
	NestedStackID      *string `json:"nested_stack_id"`
	CreationTime       string  `json:"creation_time"`
	UpdatedTime        *string `json:"updated_time"`
	Report             *report `json:"report,omitempty"`
}

// graphEdge says that one resource needs another; both are ids.
type graphEdge struct {
	From string `json:"from"` // is needed by
	To   string `json:"to"`
}

// report is what a node last said about itself.
type report struct {
	Node     string             `json:"node"`
	Phase    protocol.Phase     `json:"phase"`
	Time     string             `json:"time"`
	Progress *protocol.Progress `json:"progress,omitempty"`
	Reason   string             `json:"reason,omitempty"`
}

// showGraph answers with the resources of the stack and of all stacks in it, and with what
// needs what. A node's registration carries the node's latest report.
func (s *server) showGraph(w http.ResponseWriter, r *http.Request, row *store.Stack) error {
	ctx := r.Context()
	depth := maxNestedDepth
	if r.URL.Query().Has("nested_depth") {
		var err error
		if depth, err = readNestedDepth(r); err != nil {
			return err
		}
	}
	views, err := s.Queries.Resources(ctx, row.ID, depth)
	if err != nil {
		return err
	}
	within := map[string]string{} // nested stack -> resource
	ids := map[[2]string]string{}
	for _, v := range views {
		if v.NestedID != "" {
			within[v.NestedID] = v.ID
		}
		ids[[2]string{v.StackID, v.Name}] = v.ID
	}
	nodes, edges := make([]graphNode, 0, len(views)), []graphEdge{}
	for _, v := range views {
		node := viewGraphNode(v)
		if parent, ok := within[v.StackID]; ok {
			node.Parent = &parent
		}
		if v.Type == registrationType {
			if node.Report, err = s.lastReport(r, row.ClusterID, v.ID); err != nil {
				return err
			}
		}
		nodes = append(nodes, node)
		for _, name := range v.DependsOn {
			if needed, ok := ids[[2]string{v.StackID, name}]; ok {
				edges = append(edges, graphEdge{From: needed, To: v.ID})
			}
		}
	}
	writeJSON(w, http.StatusOK, map[string]any{"stack": s.viewStackItem(r, row), "nodes": nodes, "edges": edges})
	return nil
}

// lastReport returns what a node last said, or nil. A registration's id is the node's.
func (s *server) lastReport(r *http.Request, cluster, node string) (*report, error) {
	signal, found, err := nodeapi.LastReport(r.Context(), s.Store, cluster, node)
	if err != nil || !found {
		return nil, err
	}
	return &report{Node: node, Phase: signal.Phase, Time: viewTime(signal.Time), Progress: signal.Progress, Reason: signal.Reason}, nil
}

func viewGraphNode(v engine.ResourceView) graphNode {
	node := graphNode{
		ID: v.ID, Name: v.Name, Type: v.Type, Status: v.State(), StatusReason: v.StatusReason, PhysicalResourceID: v.PhysicalID,
		StackID: v.Stack.ID, StackName: v.Stack.Name, CreationTime: viewTime(v.CreatedAt), UpdatedTime: viewOptionalTime(v.UpdatedAt),
	}
	if v.NestedID != "" {
		node.NestedStackID = &v.NestedID
	}
	return node
}
