// Package programs compiles what the conformance tests are made of, out of Go modules at exact
// versions and with a named toolchain: Kubernetes' e2e.test, the ginkgo that runs it, and the
// programs that the tests' pods execute. Results are kept by the content of their inputs.
package programs
