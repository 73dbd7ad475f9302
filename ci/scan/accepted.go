package scan

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// AcceptedSchema is the only schema identifier that lists of accepted findings may have.
const AcceptedSchema = "slipway.build/accepted/v1"

// Acceptance is one finding that is lived with until a day.
type Acceptance struct {
	ID string `yaml:"id" json:"id"`
	// Component is a program in bin/, an image's name, or name@version.
	Component string `yaml:"component" json:"component"`
	Reason    string `yaml:"reason" json:"reason"`
	Until     string `yaml:"until" json:"until"` // the last day, in UTC: "2027-01-31"
}

var idForm = regexp.MustCompile(`^[A-Z]+-[0-9]{4}-[0-9]+$`)

// ReadAccepted reads a list of accepted findings. A list that is not there is an empty one.
func ReadAccepted(file string) ([]Acceptance, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the accepted findings: %w", err)
	}
	return parseAccepted(file, text)
}

// parseAccepted is strict: an unknown field, a missing one, a day that is none are errors.
func parseAccepted(file string, text []byte) ([]Acceptance, error) {
	var list struct {
		Schema   string       `yaml:"schema"`
		Accepted []Acceptance `yaml:"accepted"`
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&list); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if err := d.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: more than one document", file)
	}
	if list.Schema != AcceptedSchema {
		return nil, fmt.Errorf("%s: schema: %q is not %q", file, list.Schema, AcceptedSchema)
	}
	var problems []error
	seen := map[Acceptance]bool{}
	for i, a := range list.Accepted {
		bad := func(field, format string, args ...any) {
			problems = append(problems, fmt.Errorf("%s: accepted[%d].%s: %s", file, i, field, fmt.Sprintf(format, args...)))
		}
		if !idForm.MatchString(a.ID) {
			bad("id", "%q is not like GO-2026-1234", a.ID)
		}
		if a.Component == "" {
			bad("component", "it is missing; one acceptance is for one component")
		}
		if strings.TrimSpace(a.Reason) == "" {
			bad("reason", "it is missing")
		}
		if _, err := time.Parse(time.DateOnly, a.Until); err != nil {
			bad("until", "%q is not a day like 2027-01-31", a.Until)
		}
		pair := Acceptance{ID: a.ID, Component: a.Component}
		if seen[pair] {
			bad("id", "%s of %s is there twice", a.ID, a.Component)
		}
		seen[pair] = true
	}
	return list.Accepted, errors.Join(problems...)
}

// Judgement is what findings come to beside the accepted ones.
type Judgement struct {
	Open     []Finding    `json:"open"`               // linked, and not accepted
	Accepted []Accepted   `json:"accepted,omitempty"` // linked, and accepted until a day to come
	Told     []Finding    `json:"told,omitempty"`     // not linked
	Expired  []Acceptance `json:"expired,omitempty"`
	Unused   []Acceptance `json:"unused,omitempty"` // nothing was found that they are for
}

// Accepted is a finding with why it is lived with.
type Accepted struct {
	Finding
	Reason string `json:"reason"`
	Until  string `json:"until"`
}

// Judge holds findings against what is accepted on the day of now. Acceptances for components that
// are not among the scanned ones are left alone.
func Judge(found []Finding, accepted []Acceptance, scanned []string, now time.Time) Judgement {
	today := now.UTC().Format(time.DateOnly)
	j := Judgement{Open: []Finding{}}
	used := map[Acceptance]bool{}
	for _, f := range found {
		if f.Level != Linked {
			j.Told = append(j.Told, f)
			continue
		}
		held := false
		for _, a := range accepted {
			if a.ID == f.ID && a.covers(f.Component) {
				used[a] = true
				if a.Until >= today {
					j.Accepted, held = append(j.Accepted, Accepted{f, a.Reason, a.Until}), true
				}
			}
		}
		if !held {
			j.Open = append(j.Open, f)
		}
	}
	for _, a := range accepted {
		switch {
		case a.Until < today:
			j.Expired = append(j.Expired, a)
		case !used[a] && slices.ContainsFunc(scanned, a.covers):
			j.Unused = append(j.Unused, a)
		}
	}
	return j
}

// covers reports whether the acceptance is for a component, "name" or "name@version".
func (a Acceptance) covers(component string) bool {
	name, _, _ := strings.Cut(component, "@")
	return a.Component == component || a.Component == name
}

// Err is nil if nothing is open, and nothing accepted has expired or is unused.
func (j Judgement) Err() error {
	var problems []error
	for _, f := range j.Open {
		fix := "there is no fix"
		if f.Fixed != "" {
			fix = "fixed in " + f.Fixed
		}
		problems = append(problems, fmt.Errorf("%s in %s: %s %s, %s (%s)", f.ID, f.Component, f.Module, f.Version, strings.Join(f.Symbols, " "), fix))
	}
	for _, a := range j.Expired {
		problems = append(problems, fmt.Errorf("%s in %s was accepted until %s: decide anew", a.ID, a.Component, a.Until))
	}
	for _, a := range j.Unused {
		problems = append(problems, fmt.Errorf("%s in %s is accepted, but was not found: remove it from the list", a.ID, a.Component))
	}
	return errors.Join(problems...)
}
