// Package nodeplan works out what the nodes of a cluster run under a lock, and what they fetch and
// restart between two: by the components' own plans and the agent's own comparison.
package nodeplan
