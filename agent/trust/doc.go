// Package trust decides whether a delivered plan may be applied: its envelope is signed by a
// plan key learnt at join, it is for this node, its lock is signed by a key baked into the OS
// layer, and every image and binary in it stands in that lock. It fails closed, before
// anything is fetched, and no option turns it off.
package trust
