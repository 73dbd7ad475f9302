// Package node boots a real systemd in a systemd-nspawn container for the fault harness: a base
// tree with an overlay above it, and the agent's directory on a file system of its own, whose
// size can be changed while it is used.
package node
