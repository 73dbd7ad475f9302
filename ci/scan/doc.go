// Package scan looks for known vulnerabilities in the programs that are shipped. It runs govulncheck
// on each binary with a database from the network or a given copy, and holds what is found against
// a list of accepted findings, each with a reason and a last day. Where there is no database,
// nothing was scanned, and that is what it says.
package scan
