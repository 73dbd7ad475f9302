// Package osimage makes the node OS layer: the agent, its unit and generator, the users and
// kernel settings of components, the keys that are trusted and the signed lock that is
// baked in, as one reproducible tar. On Fedora CoreOS the layer is appended to the base image (Derive), whose
// bytes stay as they are; for the local cloud the same tar is unpacked over a directory tree
// (ExtractTo). The OS lock says which base and which layer a node OS image consists of.
package osimage
