// Package release judges locks before they are published: it checks one against named rules,
// resolves its sources anew, says what a node between two of them fetches and restarts, and tells
// where the bytes of an image come from. It builds nothing.
package release
