// Package tracer is the harness's side of agent/faultpoint/trap: it takes the listener of a
// program's seccomp filter, decodes each system call that matters, and lets it pass, answers
// with an error, holds it, or has the program killed before it happens.
package tracer
