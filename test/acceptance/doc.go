// Package acceptance runs what test/e2e leaves out because it takes long or breaks things on
// purpose: tampered images, locks and plans, killed masters and control planes, bad requests,
// two clusters, deletion in the middle of a creation. Its tests have the build tag
// "acceptance", need root and a machine without another Slipway; `make acceptance` runs them,
// in about half an hour. SLIPWAY_ALONE, such as 2m, shortens the ten minutes that one master
// of three is alone.
package acceptance
