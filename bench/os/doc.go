// Command os derives a node OS image from a base of 400 layers, as `slipway os build` does, and has Debian's
// buildah do the same: take the base from its layout, copy the same files in, commit to a layout. It prints
// the seconds of each round and how many times longer buildah took. Both start from the base's layout and end with a layout; ours also
// signs and hashes every blob of the base. buildah's first reading of the base into its storage is counted, because ours
// has no such storage; its time from there on is printed beside it. The base's layers are small, because buildah's vfs storage,
// the one of its two that can mount 400 layers, copies every lower layer for each: with layers as large as Fedora CoreOS's it
// would need hundreds of gigabytes.
package main
