// Package plan is the contract between the control plane and a node: the node plan, its
// validation, its canonical bytes and digest, and the signed envelope it travels in.
//
// A plan is complete and declarative. It names everything that a node is to run (images by
// digest, files, certificates by purpose, secrets by name and version, units, typed work on
// the cluster) and nothing else: it holds no shell script and no secret value.
package plan
