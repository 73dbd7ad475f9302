// Package pki is the control plane's certification: one authority per purpose and cluster,
// the system authority that vouches for nodes and for the node API, and the key that signs
// plans.
//
// Who may ask for which certificate is decided by the callers (controlplane/nodeapi by the
// node's plan and role, controlplane/api by project); this package decides what a certificate
// may be at all.
package pki
