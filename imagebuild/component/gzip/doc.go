// Package gzip writes gzip streams on all cores whose bytes depend on nothing but the input: it
// compresses blocks of a fixed size side by side, each with the end of the one before as its
// dictionary, and joins them to one member that any reader of gzip takes.
package gzip
