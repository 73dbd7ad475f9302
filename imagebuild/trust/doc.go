// Package trust proves what is in an OCI layout against a signed lock, and shows the chain of hashes
// that leads from a node's OS to the sources of every component. It needs no network, no daemon
// and no root: everything follows from one public key.
package trust
