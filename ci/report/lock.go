package report

import (
	"fmt"

	"slipway.build/slipway/imagebuild/release"
)

// Lock is what the rules of locks say of the one that is published.
type Lock struct {
	release.Report
	// From is the number of the lock that clusters are on, from which the step was looked at as well; 0
	// where none was named.
	From int64 `json:"from,omitempty"`
}

// Err is nil unless something is held against the lock.
func (l *Lock) Err() error {
	switch n := len(l.Findings); n {
	case 0:
		return nil
	case 1:
		return fmt.Errorf("images.yaml breaks a rule: %s", l.Findings[0])
	default:
		return fmt.Errorf("images.yaml breaks rules, there are %d findings; the first: %s", n, l.Findings[0])
	}
}

// Broken is a rule with what it has found.
type Broken struct {
	Rule, About string
	Findings    []release.Finding
}

// Broken groups the findings by their rules, in the order in which these are looked at.
func (l *Lock) Broken() []Broken {
	var all []Broken
	for _, f := range l.Findings {
		if n := len(all); n > 0 && all[n-1].Rule == f.Rule {
			all[n-1].Findings = append(all[n-1].Findings, f)
			continue
		}
		all = append(all, Broken{f.Rule, about(f.Rule), []release.Finding{f}})
	}
	return all
}

// about says what holds where a rule finds nothing.
func about(rule string) string {
	for _, r := range release.Rules() {
		if r.Name == rule {
			return r.About
		}
	}
	return "every acceptance silences something, and its last day has not passed"
}
