// Package store is the durable state of the control plane: clusters, the queue of operations,
// stacks with their resources and events, nodes with their plans and signals, certificates'
// authorities and secrets.
//
// Reads go to a pool of read-only connections. Writes go through Tx: the function given to it
// is run by one writer, which commits what has queued up meanwhile in a single transaction of
// the database (group commit), so that many small transactions share one fsync. What a
// transaction announces with Tx.Notify reaches subscribers only after the commit.
//
// The database is SQLite; what differs between databases is in dialect.go.
package store
