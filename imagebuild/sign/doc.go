// Package sign makes the detached signature of a lock, with a local key that is made on first
// use or with a key that is given in a file.
package sign
