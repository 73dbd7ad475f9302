// Package progress shows what a long command is doing: live lines on a terminal, one plain
// line per change otherwise, JSON lines for programs. Callers report updates of named tasks
// and do not know which of the three it is.
package progress
