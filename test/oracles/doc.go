// Package oracles builds small programs around upstream libraries that tests ask for their verdict.
// Each is a module of its own, so that what it needs stays out of this one, and is compiled once for
// each state of its source: the result is kept in the build cache.
package oracles
