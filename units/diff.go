package units

import (
	"fmt"
	"slices"
	"strings"
)

// Change is one option whose values differ between two units.
type Change struct {
	Section  string
	Option   string
	Old, New []string // nil when the option is not set
}

// String says the change in words, such as "[Service] MemoryMax= changes from 1G to 2G".
func (c Change) String() string {
	head := fmt.Sprintf("[%s] %s=", c.Section, c.Option)
	switch {
	case len(c.Old) == 0:
		return head + " is added: " + words(c.New)
	case len(c.New) == 0:
		return head + " is removed, it was " + words(c.Old)
	case len(c.Old) == 1 && len(c.New) == 1:
		return head + " changes from " + words(c.Old) + " to " + words(c.New)
	}
	gone, come := without(c.Old, c.New), without(c.New, c.Old)
	switch {
	case len(gone) == 0 && len(come) == 0:
		return head + " changes its order to " + words(c.New)
	case len(gone) == 0:
		return head + " gains " + words(come)
	case len(come) == 0:
		return head + " loses " + words(gone)
	}
	return head + " gains " + words(come) + " and loses " + words(gone)
}

// Diff returns what has to change to come from old to new: options in the order of old,
// then those that only new has in its order. Units that differ only in the order of
// different options have no difference.
func Diff(old, new Unit) []Change {
	type key struct{ section, option string }
	var order []key
	values := [2]map[key][]string{{}, {}}
	for i, u := range [2]Unit{old, new} {
		for _, s := range u.Sections {
			for _, o := range s.Options {
				k := key{s.Name, o.Name}
				if values[0][k] == nil && values[1][k] == nil {
					order = append(order, k)
				}
				values[i][k] = append(values[i][k], o.Value)
			}
		}
	}
	var out []Change
	for _, k := range order {
		if a, b := values[0][k], values[1][k]; !slices.Equal(a, b) {
			out = append(out, Change{k.section, k.option, a, b})
		}
	}
	return out
}

// words joins values for a reader; an empty value is shown as such.
func words(values []string) string {
	shown := make([]string, len(values))
	for i, v := range values {
		shown[i] = v
		if v == "" {
			shown[i] = "(empty)"
		}
	}
	return strings.Join(shown, ", ")
}

// without returns the values of a that b does not have, counting repetitions.
func without(a, b []string) []string {
	left := slices.Clone(b)
	var out []string
	for _, v := range a {
		if i := slices.Index(left, v); i >= 0 {
			left = slices.Delete(left, i, i+1)
			continue
		}
		out = append(out, v)
	}
	return out
}
