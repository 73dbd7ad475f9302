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
	failed     *apiclient.Resource
}

// nodesOf finds the nodes among the resources of a cluster's stacks: masters first, each kind
// by its index.
func nodesOf(all []apiclient.Resource) []node {
	found := map[string]*node{}
	for i, r := range all {
		id := r.StackID()
		if id == "" {
			id = r.StackName
		}
		n := found[id]
		if n == nil {
			n = &node{stack: id, index: r.Parent}
			found[id] = n
		}
		switch r.Name {
		case masterServer:
			n.role, n.server = "master", r
		case workerServer:
			n.role, n.server = "worker", r
		case masterDeployment, workerDeployment:
			n.deployment = r
		}
		if strings.HasSuffix(r.Status, "_FAILED") && n.failed == nil {
			n.failed = &all[i]
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
		if a.role != b.role {
			return a.role == "master"
		}
		if len(a.index) != len(b.index) {
			return len(a.index) < len(b.index)
		}
		return a.index < b.index
	})
	return nodes
}

// update says what the node does.
func (n node) update() progress.Update {
	u := progress.Update{Task: "node/" + n.stack, Label: fmt.Sprintf("%s %s", n.role, n.index), State: progress.Running}
	switch {
	case n.failed != nil:
		u.State, u.Detail = progress.Failed, n.failed.Name+": "+n.failed.StatusReason
	case n.deployment.Status == "CREATE_COMPLETE" || n.deployment.Status == "UPDATE_COMPLETE":
		u.State, u.Detail = progress.Done, "healthy"
	case strings.HasSuffix(n.deployment.Status, "_IN_PROGRESS") && n.deployment.StatusReason != "" && n.deployment.StatusReason != "state changed":
		u.Detail = n.deployment.StatusReason
		if done, total, ok := pulled(u.Detail); ok {
			u.Done, u.Total, u.Unit = done, total, progress.Bytes
		}
	case strings.HasSuffix(n.server.Status, "_COMPLETE") && n.server.Status != "INIT_COMPLETE":
		u.Detail = "booted, waiting for its agent"
	case strings.HasSuffix(n.server.Status, "_IN_PROGRESS"):
		u.Detail = "boots"
	default:
		u.Detail = "waiting for network and ports"
	}
	return u
}

// pulled reads "pulling <done> of <total> bytes" out of a reason.
func pulled(reason string) (done, total int64, ok bool) {
	_, after, found := strings.Cut(reason, "pulling ")
	if !found {
		return 0, 0, false
	}
	n, err := fmt.Sscanf(after, "%d of %d bytes", &done, &total)
	return done, total, err == nil && n == 2
}
