// Package renewal keeps the node's identity and the certificates of its plan alive: each is renewed
// at two thirds of its life, jittered, by itself, and once more as soon as the control plane
// refuses the one that is in use. Units that read a certificate at their start only are restarted
// afterwards, one at a time. Everything is a function of the files and the time, so a crash between
// any two steps is continued by the next run.
package renewal
