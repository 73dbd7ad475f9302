// Package graph holds the dependency graph of a stack: what needs what, in which order it can
// be made, and how it is drawn.
package graph
