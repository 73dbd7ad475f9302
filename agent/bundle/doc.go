// Package bundle writes the support archive of a node: one gzip-compressed tar file with what a
// person needs to understand the node elsewhere, and a manifest that says of each part how it was
// made. It is bounded in size and time, a part that cannot be made does not keep the others from
// being there, and what leaves is text without secrets.
package bundle
