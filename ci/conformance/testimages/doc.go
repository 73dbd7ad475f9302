// Package testimages makes the images that the pods of Kubernetes' conformance tests run, without
// a registry on the internet: programs compiled from modules, and files of Debian packages that
// the lock names by digest. The same lock and the same programs give the same digests on every
// machine, and an image that differs from the lock is refused.
//
// The images stand in for upstream's: they have the names, tags, entry points and tools that the
// tests rely on, and nothing is claimed beyond that.
package testimages
