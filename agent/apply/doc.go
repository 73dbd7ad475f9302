// Package apply brings a node to a plan: it pulls and certifies at the same time, stages a
// generation, switches to it, has systemd do what differs, waits for health, does the plan's
// typed work, reports, and goes back to the generation before when the new one fails. Each step
// is journalled, so that a crash is continued where it happened.
package apply
