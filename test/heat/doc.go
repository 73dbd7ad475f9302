// Package heat holds the test of Heat mode against a real Keystone and a real Heat, Debian's
// packages, in a container without a network. It is built with the tag heat (`make test-heat`)
// and needs root; its first run fetches a few hundred MiB of packages and keeps the result.
package heat
