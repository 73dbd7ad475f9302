// Package source is where a node's plan comes from: the control plane, by a long poll that is
// answered the moment there is something new, or a local file. A source only delivers; whether
// a plan is believed is decided by package trust.
package source
