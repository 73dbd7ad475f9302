// Package engine makes and deletes stacks: it walks the graph of a template's resources in
// parallel, calls the cloud for each, and records every step.
//
// The rows of stacks and resources are the durable state. A transition, its event and what it
// unblocks are committed in one transaction, under the caller's fence, before anything that
// follows from it is begun; so a killed engine is replaced by another one's Run on the same
// stack, which calls what was IN_PROGRESS again with the same key.
//
// One difference from Heat: a nested stack does not wait for all its parameters. It starts
// when its shape is known, and each resource in it waits only for the values that it uses
// itself. So servers boot while the load balancer, whose address their deployments need, is
// still being made.
package engine
