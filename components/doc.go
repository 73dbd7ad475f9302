// Package components says what a node of a cluster runs: one file for each component and
// addon with its image, flags, unit and isolation, mounts, checks, ports, certificates and
// limits; one table of what each certificate is for; and the two functions, Master and
// Worker, that turn typed facts about a cluster and a node into that node's complete plan.
//
// Everything here is data and pure functions: equal facts give equal plans, byte for byte.
package components
