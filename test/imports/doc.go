// Package imports holds the tests of the house rules that a compiler does not check: which
// package may import which, names that say nothing, files that are too long, and text that
// belongs to one machine only. It has no code of its own.
package imports
