// Package fault tells apart the errors on which the agent decides: one that a retry may
// heal, one that no retry can heal, and one that says that somebody else was first.
package fault

import (
	"errors"
	"fmt"
)

// Kind says what an error asks of its caller.
type Kind int

const (
	// Retriable: the same call may succeed later (network, registry, control plane away).
	Retriable Kind = iota + 1
	// Terminal: the input itself is wrong (digest, signature, schema); trying again is useless.
	Terminal
	// Conflict: the state has moved on; read it again before deciding.
	Conflict
)

// Error is an error of a known kind.
type Error struct {
	Kind Kind
	Err  error
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Retriablef returns a retriable error; the format is fmt.Errorf's.
func Retriablef(format string, a ...any) error { return &Error{Retriable, fmt.Errorf(format, a...)} }

// Terminalf returns a terminal error; the format is fmt.Errorf's.
func Terminalf(format string, a ...any) error { return &Error{Terminal, fmt.Errorf(format, a...)} }

// Conflictf returns a conflict; the format is fmt.Errorf's.
func Conflictf(format string, a ...any) error { return &Error{Conflict, fmt.Errorf(format, a...)} }

// KindOf returns the kind of the outermost Error in err's chain, or 0 when there is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return 0
}

// IsTerminal reports whether no retry can heal err.
func IsTerminal(err error) bool { return KindOf(err) == Terminal }
