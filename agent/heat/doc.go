// Package heat is Heat mode: the agent stands in for os-collect-config, os-refresh-config and
// heat-config of an existing Heat. It collects the server's metadata, runs the deployments in it,
// each once, and tells Heat how each ended until Heat has it. Three loops do that: one gathers,
// one works, one tells; the ledger between them is durable.
package heat
