// Package local is the running agent's socket on the node: what root may ask of it there. One
// connection carries one request and its answer, each one line of JSON.
package local
