// Package faultpoint is where the fault harness (test/faults) takes hold of the agent. In a normal
// build it does nothing and costs nothing. Built with the tag "fault", the agent puts itself under
// the harness's control, system call by system call, when its environment names the harness's
// socket, and its clock can be moved.
package faultpoint
