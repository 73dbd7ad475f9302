// Package kubeconfig makes a client key on this machine, has a cluster's authority certify
// it, and writes the kubeconfig that holds both. The key never leaves the machine except
// inside that kubeconfig.
package kubeconfig
