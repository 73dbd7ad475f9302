// Package e2e creates a real cluster of one master and one worker through the API, with the
// programs in bin/ and the product's own names and addresses, uses it, looks into its
// processes, deletes it and checks that nothing is left. Its tests have the build tag "e2e",
// need root, and refuse to run while another Slipway runs on the machine; `make e2e` runs
// them.
package e2e
