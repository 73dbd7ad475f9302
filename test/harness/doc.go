// Package harness runs a whole Slipway for the tests that use the product as its operator does:
// the programs in bin/, a state directory of the test's own, the product's names and addresses.
// It refuses to run while a Slipway runs that is no test's, removes what killed tests left, and
// takes away what it made.
package harness
