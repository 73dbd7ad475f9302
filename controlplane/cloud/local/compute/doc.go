// Package compute is the local cloud's Nova and Cinder: servers, volumes, flavors and keypairs
// on this machine.
//
// A server is a systemd-nspawn container with a real systemd in it. Its root is an overlay of
// the image's layers and a directory of its own; /usr is read-only, /var is a directory on the
// real file system. Ignition's own program applies the user data to that root once, before the
// first boot; nothing else is written into it. The server runs in a network namespace
// <prefix>-srv-<8hex>, made anew at each power-on, into which its port is plugged, and in a cgroup or
// unit of the same name that holds the flavor's limits. So it outlives its maker, and is found
// again by name alone.
//
// What is to be is in the object store; what is, is asked of the kernel. Every step may be repeated
// after a kill at any instant.
package compute
