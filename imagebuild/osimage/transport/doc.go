// Package transport finds OS images where they lie and writes derived ones: an OCI layout, an OCI
// archive (the tar of a layout; package layout reads both) or a registry. A base is named with its digest, and
// what is read is held against it; of an index, the image for one architecture is taken.
//
// Blobs of a base are never rewritten. From layout to layout they are hard-linked (copied where that is not possible),
// from repository to repository of one registry they are mounted, and else they are streamed. A layout appears
// under its name when it is complete, whenever the writer is killed.
package transport
