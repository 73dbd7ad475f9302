package template

import (
	"errors"
	"fmt"
)

// Pos is a place in a template.
type Pos struct {
	File string
	Line int
}

func (p Pos) String() string { return fmt.Sprintf("%s:%d", p.File, p.Line) }

// Error is something wrong at a place in a template.
type Error struct {
	Pos     Pos
	Message string
}

func (e *Error) Error() string { return e.Pos.String() + ": " + e.Message }

// faults collects errors up to a limit, so that an author sees several at once.
type faults struct{ list []error }

const maxFaults = 20

func (f *faults) add(p Pos, format string, a ...any) {
	if len(f.list) < maxFaults {
		f.list = append(f.list, &Error{p, fmt.Sprintf(format, a...)})
	}
}

func (f *faults) err() error { return errors.Join(f.list...) }
