// Package report says where in a file something is wrong, and what.
package report

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/coreos/vcontext/report"
	"github.com/coreos/vcontext/tree"
)

// Level is how bad it is.
type Level string

// The levels.
const (
	Error   Level = "error"
	Warning Level = "warning"
)

// Entry is one thing that is wrong.
type Entry struct {
	File string `json:"file"`
	// Line and Column begin at 1; both are 0 when only the path is known.
	Line   int `json:"line,omitempty"`
	Column int `json:"column,omitempty"`
	// Path is the field, such as $.storage.files.0.path.
	Path    string `json:"path,omitempty"`
	Level   Level  `json:"level"`
	Rule    string `json:"rule"`
	Message string `json:"message"`
}

func (e Entry) String() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", e.Line, e.Column)
	}
	fmt.Fprintf(&b, ": %s: %s", e.Level, e.Message)
	if e.Path != "" && e.Path != "$" {
		fmt.Fprintf(&b, " (%s)", e.Path)
	}
	fmt.Fprintf(&b, " [%s]", e.Rule)
	return b.String()
}

// Entries are all that is wrong with a file.
type Entries []Entry

// ErrInvalid is what the error of Entries.Err wraps.
var ErrInvalid = errors.New("not valid")

// Err returns an error that lists the entries, or nil when there are none. Warnings count unless
// they are allowed.
func (e Entries) Err(allowWarnings bool) error {
	var lines []string
	for _, entry := range e {
		if entry.Level == Error || !allowWarnings {
			lines = append(lines, entry.String())
		}
	}
	if len(lines) == 0 {
		return nil
	}
	return &invalid{lines}
}

type invalid struct{ lines []string }

func (i *invalid) Error() string { return strings.Join(i.lines, "\n") }
func (i *invalid) Unwrap() error { return ErrInvalid }

// Sort orders the entries by file and position.
func (e Entries) Sort() Entries {
	slices.SortStableFunc(e, func(a, b Entry) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	return e
}

// From turns Ignition's and Butane's own reports into entries.
func From(file, rule string, r report.Report) Entries {
	var all Entries
	for _, e := range r.Entries {
		entry := Entry{File: file, Level: Warning, Rule: rule, Message: e.Message}
		if e.Kind.IsFatal() {
			entry.Level = Error
		}
		if e.Context.Len() > 0 {
			entry.Path = e.Context.String()
		}
		entry.At(e.Marker)
		all = append(all, entry)
	}
	return all
}

// At sets the position.
func (e *Entry) At(m tree.Marker) {
	if m.StartP != nil {
		e.Line, e.Column = int(m.StartP.Line), int(m.StartP.Column)
	}
}
