// Package daemon is `slipway-agent run`: it joins, follows the node's plan and has it applied,
// one plan at a time, and reports all the while. It owns every goroutine of the agent.
package daemon
