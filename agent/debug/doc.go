// Package debug answers questions about a node on the node itself, without any server: what the
// agent is doing, which plan it follows, whether what is on disk is what the signed lock says,
// and why a unit is as it is.
package debug
