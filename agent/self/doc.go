// Package self is how the agent updates itself by a plan like any other, without a way to lock
// itself out. A generation may name the program that runs as the agent while it is current.
// The agent that the OS layer brings is always what systemd starts; it checks that program as
// it checks components, and becomes it. A program that has not yet shown that it can do an
// agent's work is on trial: its starts are counted, and a timer of systemd's ends the trial
// when neither success nor failure was told in time. After a failed trial the OS layer's agent
// stays, finds the generation unfinished, and goes back to the one before.
package self
