// Package conductor turns accepted requests into stacks: it takes operations from the queue,
// gives the cluster template its values, lets the orchestration engine walk the graph and
// writes the outcome to the cluster and its nodegroups. The resource types that need no cloud
// (authorities, nodes' registrations, deployments) are here too.
package conductor
