// Package integration holds tests that give what slipway renders to Ignition's own program:
// Debian's 2.14, and 2.26 built from its Go module, by ignition-apply and by the whole way of a
// first boot on OpenStack.
package integration
