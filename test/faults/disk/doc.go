// Package disk models what a power loss leaves of a directory. It starts from a tree that is on
// the disk whole, takes the system calls of a program one by one, and knows of each name and each
// byte whether it was synced. Crash then gives a tree that the disk may hold at that moment: what
// was synced is there, and of the rest what the policy says, within what POSIX allows a file system
// to do: bytes of different writes are kept or lost independently, names of one directory in the
// order in which they were made.
package disk
