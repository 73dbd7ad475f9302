// Package launch starts a command that outlives its caller: detached, in a session and cgroup
// of its own, with limits, found again by its name alone. Where systemd is PID 1 the command is
// a transient unit; elsewhere a few lines of shell watch over it. Neither keeps anything in
// files: the name of the cgroup or unit is the only record, so nothing can be stale after a
// kill or a reboot.
package launch
