// Package report tells how a run of the pipeline went: what was built from what, its digests and
// sizes beside those of before, tests, vulnerabilities, and how long everything took. It makes one
// HTML page, which needs nothing but itself, and the same as JSON. Stages keep what they have found
// out as facts of the types here.
package report
