// Package registry serves an OCI layout over the read half of the OCI distribution protocol.
// It verifies nothing: its clients trust digests, not registries. What refers to an image is listed
// from the index that the layout has under the fallback tag (package referrer).
//
// go-containerregistry's own registry is not used, for it keeps manifests in memory, refuses
// open-ended ranges (bytes=N-), which a client needs to resume, and copies blobs through user
// space.
package registry
