// Package ignition makes a node's user data and applies it with Ignition's own program.
//
// User data is an Ignition configuration of specification 3.3, the newest that both Fedora
// CoreOS and Debian's Ignition 2.14 read. It carries what a new node has to know and nothing
// secret but the one-time join token: the agent's configuration, the host name, and the public
// key of the user core.
package ignition
