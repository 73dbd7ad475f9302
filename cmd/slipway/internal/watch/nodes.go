package watch

import (
	"fmt"
	"sort"
	"strings"

	"slipway.build/slipway/cmd/slipway/internal/apiclient"
	"slipway.build/slipway/cmd/slipway/internal/progress"
)

// Names of the resources of a node's stack, as in Magnum's templates.
const (
	masterServer     = "kube-master"
	workerServer     = "kube-minion"
	masterDeployment = "master_config_deployment"
	workerDeployment = "node_config_deployment"
)

// node is one node of the cluster, as far as its stack tells.
type node struct {
	stack      string
	role       string // "master" or "worker"
	index      string
	server     apiclient.Resource
	deployment apiclient.Resource
	report     *apiclient.Report
	failed     *apiclient.Resource
}

// nodesOf finds the nodes in the graph of a cluster: masters first, each kind by its index.
func nodesOf(g *apiclient.Graph) []node {
	names := map[string]string{} // of resources, by id
	for _, r := range g.Nodes {
		names[r.ID] = r.Name
	}
	found := map[string]*node{}
	for i, r := range g.Nodes {
		n := found[r.StackID]
		if n == nil {
			n = &node{stack: r.StackID, index: names[r.Parent]}
			found[r.StackID] = n
		}
		switch r.Name {
		case masterServer:
			n.role, n.server = "master", r
		case workerServer:
			n.role, n.server = "worker", r
		case masterDeployment, workerDeployment:
			n.deployment = r
		}
		if r.Report != nil {
			n.report = r.Report
		}
		if strings.HasSuffix(r.Status, "_FAILED") && n.failed == nil {
			n.failed = &g.Nodes[i]
		}
	}
	var nodes []node
	for _, n := range found {
		if n.role != "" {
			nodes = append(nodes, *n)
		}
	}
	sort.Slice(nodes, func(i, j int) bool {
		a, b := nodes[i], nodes[j]
		switch {
		case a.role != b.role:
			return a.role == "master"
		case len(a.index) != len(b.index):
			return len(a.index) < len(b.index) // 9 before 10
		default:
			return a.index < b.index
		}
	})
	return nodes
}

// update says what the node does.
func (n node) update() progress.Update {
	u := progress.Update{Task: "node/" + n.stack, Label: strings.TrimSpace(n.role + " " + n.index), State: progress.Running}
	switch {
	case n.failed != nil:
		u.State, u.Detail = progress.Failed, n.failed.Name+": "+n.failed.StatusReason
	case complete(n.deployment):
		u.State, u.Detail = progress.Done, "healthy"
	case n.report != nil:
		n.reported(&u)
	case complete(n.server):
		u.Detail = "booted, waiting for its agent"
	case strings.HasSuffix(n.server.Status, "_IN_PROGRESS"):
		u.Detail = "is made and boots"
	default:
		u.Detail = "waiting for network and ports"
	}
	return u
}

// reported puts a node's own words into the update.
func (n node) reported(u *progress.Update) {
	u.Detail = n.report.Phase
	if u.Detail == "joined" && !strings.HasSuffix(n.deployment.Status, "_IN_PROGRESS") {
		u.Detail = "joined, waiting for its plan"
	}
	if n.report.Reason != "" {
		u.Detail += ": " + n.report.Reason
	}
	p := n.report.Progress
	if p == nil {
		return
	}
	if n.report.Phase == "pulling" {
		u.Done, u.Total, u.Unit = p.BytesDone, p.BytesTotal, progress.Bytes
	} else if p.UnitsTotal > 0 {
		u.Detail = fmt.Sprintf("%d of %d units ready", p.UnitsActive, p.UnitsTotal)
	}
	if p.Waiting != "" {
		u.Detail += ", waiting for " + p.Waiting
	}
}

func complete(r apiclient.Resource) bool {
	return r.Status == "CREATE_COMPLETE" || r.Status == "UPDATE_COMPLETE"
}
