// Package faults is the fault harness: it applies plans on a node with a real systemd, again and
// again, and each time makes something go wrong at one step: the agent is killed between two
// system calls, a call fails, the disk is full, power is lost, a unit hangs, a registry vanishes.
// After each the node has to run the old or the new generation whole, say which, and have nothing
// left over. `make test-faults` runs all of it, `make test` a bounded part.
package faults
