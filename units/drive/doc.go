// Package drive drives systemd: it reloads the daemon, queues jobs and awaits their results, and
// follows the states of units by subscription instead of polling. Fake beside it records what
// was asked and lets a test decide what happens.
package drive
