// Package verifier decides for containerd whether pods may use an image: it is the program of containerd 2.x's
// image-verifier plugin (io.containerd.image-verifier.v1.bindir). Images of the scopes that the lock covers must be
// in a lock that counts on this node, by digest; tenants' images pass unless the policy is strict.
// Whatever is wrong with request, policy, keys or locks is a refusal.
package verifier
