// Package supervision is the part of the contract that a component's supervisor reads: probes,
// state and durations. It is a package of its own because a supervisor lives beside every
// component: what it links is resident on each node as often as there are components. Others
// find the same types in package plan.
package supervision
