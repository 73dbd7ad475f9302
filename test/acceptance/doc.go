// Package acceptance runs the parts of the main job's acceptance list that test/e2e leaves out
// because they take long or break things on purpose: tampered images, locks and plans, killed
// masters and control planes, bad requests, two clusters, deletion in the middle of a creation.
// Its tests have the build tag "acceptance", need root and a machine without another Slipway;
// `make acceptance` runs them, in about half an hour.
package acceptance
