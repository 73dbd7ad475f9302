// Package program compiles the three programs that are baked into the OS layer, so that any machine
// with the same source gets the same bytes: the toolchain, the flags and everything of the environment that
// counts are fixed here.
package program
