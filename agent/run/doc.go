// Package run is slipway-exec: the main process of a component's unit. It hashes the component's
// binary through an open file and executes that same open file as its child, tells systemd when
// the child is ready and that it is alive, passes signals on, and ends as the child ended. A
// peer's failure is nothing to it: what it asks is local.
//
// A unit that uses it should say Type=notify, KillMode=mixed (systemd's SIGTERM goes to this
// process alone, which passes it on once) and RestartPreventExitStatus=78.
package run
