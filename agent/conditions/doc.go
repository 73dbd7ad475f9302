// Package conditions watches what can make a node sick beside its units: its disk, its memory,
// its clock, the age of its certificates and what else a Source looks at. A condition changes
// only when several looks in a row agree; all conditions are reported when one has changed, and
// otherwise every ten minutes.
//
// Whoever has a further thing to watch implements Source and gives it to Board.Add, or calls
// Board.Set when it is told of a change instead of looking for it.
package conditions
