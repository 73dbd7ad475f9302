// Package cluster does typed work on the cluster's own API: server-side apply of objects, pruning
// of what is not listed any more, waiting until workloads and nodes are ready, cordoning and
// draining of nodes. It speaks Kubernetes' REST with the standard library alone, from the node,
// with a certificate of the node's plan.
package cluster
