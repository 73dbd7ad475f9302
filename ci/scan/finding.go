package scan

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Level says how much of a vulnerability is in a program.
type Level string

// The levels. Only what is linked into a program counts; the others are told. What a program
// without a symbol table has of a module cannot be seen: everything counts as linked then.
const (
	Linked  Level = "linked"  // the vulnerable code is in the program
	Package Level = "package" // its package is, the vulnerable code is not
	Module  Level = "module"  // a module is at a vulnerable version, its code is not in the program
)

// Finding is one vulnerability in one component.
type Finding struct {
	ID        string   `json:"id"` // GO-2026-1234
	Component string   `json:"component"`
	Level     Level    `json:"level"`
	Module    string   `json:"module"`
	Version   string   `json:"version"`
	Fixed     string   `json:"fixed,omitempty"`   // empty where there is no fix
	Symbols   []string `json:"symbols,omitempty"` // sorted
	Summary   string   `json:"summary,omitempty"`
	Aliases   []string `json:"aliases,omitempty"`
}

// message is what is read of a line of govulncheck's JSON, protocol v1.0.0.
type message struct {
	Config *struct {
		Protocol string `json:"protocol_version"`
		Mode     string `json:"scan_mode"`
	} `json:"config"`
	OSV *struct {
		ID      string   `json:"id"`
		Summary string   `json:"summary"`
		Aliases []string `json:"aliases"`
	} `json:"osv"`
	Finding *struct {
		OSV   string `json:"osv"`
		Fixed string `json:"fixed_version"`
		Trace []struct {
			Module   string `json:"module"`
			Version  string `json:"version"`
			Package  string `json:"package"`
			Function string `json:"function"`
			Receiver string `json:"receiver"`
		} `json:"trace"`
	} `json:"finding"`
}

// parse reads what govulncheck has said about one binary. A stream without a configuration is not
// one: nothing was scanned.
func parse(component string, r io.Reader) ([]Finding, error) {
	var found []Finding
	configured := false
	about := map[string]message{}
	for d := json.NewDecoder(r); ; {
		var m message
		err := d.Decode(&m)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read govulncheck's findings: %w", err)
		}
		switch {
		case m.Config != nil:
			if m.Config.Mode != "binary" || !strings.HasPrefix(m.Config.Protocol, "v1.") {
				return nil, fmt.Errorf("govulncheck speaks protocol %q in mode %q; want v1 and binary", m.Config.Protocol, m.Config.Mode)
			}
			configured = true
		case m.OSV != nil:
			about[m.OSV.ID] = m
		case m.Finding != nil:
			if m.Finding.OSV == "" || len(m.Finding.Trace) == 0 {
				return nil, errors.New("govulncheck names a finding without an id or a place")
			}
			found = add(found, component, m)
		}
	}
	if !configured {
		return nil, errors.New("govulncheck has said nothing")
	}
	for i := range found {
		f := &found[i]
		slices.Sort(f.Symbols)
		f.Symbols = slices.Compact(f.Symbols)
		if m, ok := about[f.ID]; ok {
			f.Summary, f.Aliases = m.OSV.Summary, m.OSV.Aliases
		}
	}
	sortFindings(found)
	return found, nil
}

// add joins findings of the same vulnerability in the same module; the one that is nearest counts.
func add(found []Finding, component string, m message) []Finding {
	at := m.Finding.Trace[0]
	f := Finding{ID: m.Finding.OSV, Component: component, Level: Module, Module: at.Module, Version: at.Version, Fixed: m.Finding.Fixed}
	if at.Package != "" {
		f.Level = Package
	}
	if at.Function != "" {
		f.Level = Linked
		name := at.Function
		if at.Receiver != "" {
			name = at.Receiver + "." + name
		}
		f.Symbols = []string{at.Package + "." + name}
	}
	i := slices.IndexFunc(found, func(o Finding) bool { return o.ID == f.ID && o.Module == f.Module })
	if i < 0 {
		return append(found, f)
	}
	if f.Level.weight() > found[i].Level.weight() {
		found[i].Level = f.Level
	}
	found[i].Symbols = append(found[i].Symbols, f.Symbols...)
	return found
}

func (l Level) weight() int { return slices.Index([]Level{Module, Package, Linked}, l) }

func sortFindings(all []Finding) {
	slices.SortFunc(all, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(b.Level.weight(), a.Level.weight()), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Component, b.Component), cmp.Compare(a.Module, b.Module))
	})
}

// insert adds a symbol to sorted ones, once.
func insert(sorted []string, s string) []string {
	if i, there := slices.BinarySearch(sorted, s); !there {
		return slices.Insert(sorted, i, s)
	}
	return sorted
}
