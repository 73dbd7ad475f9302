// Package vm boots the local cloud's node OS once in a virtual machine, in QEMU's plain emulation:
// a kernel of its own, systemd as process 1, nothing but cgroup v2. The agent applies a plan out
// of a file there, with one component that it pulls and verifies, and what the plan says about
// limits, capabilities and system calls is read from the guest's kernel.
package vm
