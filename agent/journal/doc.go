// Package journal is the agent's durable memory: what it is doing, so that it goes on there
// after a crash, and the outbox of signals. It is one bbolt file, held open by one agent.
package journal
