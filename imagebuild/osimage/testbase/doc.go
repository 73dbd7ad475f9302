// Package testbase makes bases for tests and benchmarks in the two forms of Fedora CoreOS: small trees
// in as many layers as the real ones have, for no Fedora image can be part of this repository.
package testbase
