// Package sign makes and checks signatures of what is published: the detached signature of a lock
// and of a statement of lock keys, and the two forms of an image's signature that the field reads:
// simple signing (podman, skopeo, rpm-ostree, bootc) and sigstore bundles (cosign 3). It signs with
// a local key that is made on first use or with a key that is given in a file, on P-256, and asks
// no service: there is no transparency log and no certificate in any of it.
package sign
