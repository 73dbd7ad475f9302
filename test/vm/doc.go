// Package vm boots the local cloud's node OS once in a virtual machine, in QEMU's plain emulation:
// a kernel of its own, systemd as process 1, nothing but cgroup v2, and Debian's SELinux policy enforcing. The root file
// system is what the local cloud's servers boot from: the OS layer of imagebuild/osimage above the base tree of
// imagebuild/basetree. The agent applies a plan out of a file there, with one component that it pulls and verifies, and
// what the plan says about limits, capabilities and system calls is read from the guest's kernel.
package vm
