// Package cluster does typed work on the cluster's own API: server-side apply of objects, waiting
// for workloads to be available, waiting for a node to be Ready. It speaks Kubernetes' REST with
// the standard library alone, from the node, with a certificate of the node's plan.
package cluster
