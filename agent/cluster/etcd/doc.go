// Package etcd does typed work on the etcd member of this node: members, snapshots, and what a
// check of its health asks. It speaks the JSON form of etcd's own API (grpc-gateway, on the
// client port), with the standard library alone, as TLS with a client certificate of the plan.
package etcd
