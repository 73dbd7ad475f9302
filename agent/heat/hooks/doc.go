// Package hooks runs deployments: scripts with the environment and files that heat-config's
// script hook gave them, plans for Slipway's own applier, and for every other group the hook
// executable of that name. It runs one at a time, ends what takes too long, and logs no input.
package hooks
