// Package testnode boots a node for tests of the whole agent: a real systemd in a systemd-nspawn
// container, on a base tree with an overlay above it that has what the OS layer brings. What runs
// there is what the product runs: slipway-agent, and slipway-exec under each component.
package testnode
