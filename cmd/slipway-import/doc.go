// Command slipway-import gives an image that the agent has verified to the pods' runtime, under a
// reference that names its digest. It is a program of its own because containerd's client would
// make the agent several times larger.
//
//	slipway-import --address SOCKET --layout DIR --digest sha256:… --reference NAME@sha256:…
//
// It may be repeated; what containerd has already is left as it is. Exit status 0: the image is
// there and pods can use it; 1: it is not; 2: usage.
package main
