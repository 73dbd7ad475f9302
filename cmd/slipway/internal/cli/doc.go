// Package cli is the tree of slipway's commands: flags, output and exit codes. What the
// commands do lives in the packages that they call.
package cli
