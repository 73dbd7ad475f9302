// Package unpack turns a layer's blob into files in one pass: hash, decompress, check every entry
// of the archive against the signed lock, hash, write. Three goroutines share the work of a layer,
// so that fetching, decompressing and writing overlap; the memory of a layer is bounded whatever
// the blob says. What is refused leaves nothing behind.
package unpack
