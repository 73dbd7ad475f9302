// Package component turns Go modules into component images: it builds static binaries with a
// named toolchain, checks that they are what the recipe says, packs each into an image with
// nothing else in it, and keeps all of it in a content-addressed cache. The same sources give
// the same digests on every machine; Check says which input differs where they do not.
package component
