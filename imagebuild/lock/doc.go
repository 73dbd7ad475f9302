// Package lock is images.yaml: which component images exist, from which source each byte of
// them comes, and by which digest a node may run them. It is a leaf that node and control
// plane share: types, canonical bytes, validation and signature check, and nothing that
// builds.
package lock
