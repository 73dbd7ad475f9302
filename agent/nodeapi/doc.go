// Package nodeapi is the agent's side of the node API: HTTP/2 over TLS 1.3 to the control plane,
// with the node's certificate once it has one.
package nodeapi
