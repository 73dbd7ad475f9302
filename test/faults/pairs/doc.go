// Package pairs looks at a key pair of the agent's at each point at which its replacement can be cut
// off: by a kill before any system call, and by a power loss after it.
package pairs
