// Package split makes configurations fit into the user data that Nova takes: by packing contents,
// and, where that is not enough, by a stub that fetches the rest, pinned by its hash.
package split
