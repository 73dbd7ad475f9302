// Package stages has the stages that build Slipway, prove it, and publish it if all held: programs and
// component images, the gates they pass, evidence, signatures, reproduction, the scan for
// vulnerabilities, the node OS, a cluster booted from exactly what was built, the tests against it,
// and publication as the last thing.
package stages
