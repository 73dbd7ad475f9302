// Package pull is the verified image store: it fetches images from registries by digest, checks
// index, manifest, configuration, layers, diff IDs and files against the signed lock while they
// stream in, takes over what the store has already after hashing it again, and shows an image
// under its name only when the whole chain holds. Packages below it do the parts: mirror reads
// from registries, unpack turns a blob into files, inflate decompresses gzip.
//
// The store is one directory per manifest:
//
//	<hex>/image.json   what was verified
//	<hex>/root/…       the files, 0555 or 0444, owned by root
//	<hex>/layout/…     an OCI layout with the blobs, for images that pods run
//	.tmp-<hex>-…       a fetch in progress; removed when it fails and when the agent starts
package pull
