// Package daemon starts slipwayd so that it outlives the command that started it, finds it
// again, and stops it. It finds the process by what it is (its command line), not by a file
// that could be stale: there is no instant at which a started slipwayd could be lost.
package daemon
