// Package join gives the node its identity: it waits for the configuration that Ignition writes,
// makes the node's key, has it certified with the one-time token, and keeps the certificate and
// the plan keys for good. A crash at any instant is resumed with the same key, which the control
// plane answers as it did the first time.
package join
