// Package conformance runs Kubernetes' own conformance tests, e2e.test as upstream's module has
// it, against a cluster that Slipway made, and judges the run: which tests ran, failed and were
// skipped, whether that are all of them, and whether a failure was expected. A run that is
// empty, cut off, or has fewer tests than the version has, did not pass.
package conformance
