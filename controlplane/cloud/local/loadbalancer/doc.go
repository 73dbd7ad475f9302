// Package loadbalancer is the local cloud's Octavia: every load balancer is a port on the
// cluster's network and an haproxy in a container of its own behind it (systemd-nspawn without
// boot, the host's /usr read-only, an unprivileged user without capabilities), which outlives
// slipwayd.
//
// A balancer without a pool has no container yet. haproxy's configuration follows from the records alone. A change is written, handed over by a
// reload that keeps the connections, and counts as done when the new process says that it runs
// with it; changes in quick succession share a reload. Members begin as down and are used from
// their first passed check on; those that were up before a reload stay up.
package loadbalancer
