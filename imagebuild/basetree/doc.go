// Package basetree makes the operating system tree of the local cloud's nodes: Debian 12 by
// debootstrap, without what costs boot time or has no use in a container. It stands where
// Fedora CoreOS stands on a real cloud, below the same OS layer.
//
// A tree is kept in a cache under the digest of its recipe: packages, what is removed, what is
// added. A build that was killed leaves nothing that a later one would take for a tree.
package basetree
