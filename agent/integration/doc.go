// Package integration holds tests of the whole agent against the real thing: a real systemd in a
// systemd-nspawn container, real images from a real registry, with two components that only
// these tests know.
package integration
