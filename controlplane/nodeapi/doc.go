// Package nodeapi serves the node API (agent/protocol): how nodes join, get their plans, report,
// and obtain certificates and secrets. A node is known by its client certificate; it can reach
// its own plan, what that plan names, and nothing else.
package nodeapi
