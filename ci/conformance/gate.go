package conformance

import (
	"fmt"
	"slices"
	"strings"

	"slipway.build/slipway/ci/conformance/junit"
)

// Expectation is what a run has to have.
type Expectation struct {
	// Tests is how many conformance tests have to run, at least.
	Tests int
	// Names, if there are any, are the tests that have to run; others may be skipped.
	Names []string
	// Failures are those that cannot pass yet.
	Failures []ExpectedFailure
}

// Judge holds a report against what was expected. Every problem is one sentence; none means that
// the gate holds.
func Judge(r *junit.Report, want Expectation) (Counts, []Failure, []string) {
	var (
		counts   Counts
		failures []Failure
		problems []string
		skipped  []string
		ran      = map[string]junit.Outcome{}
	)
	problem := func(form string, a ...any) { problems = append(problems, fmt.Sprintf(form, a...)) }
	for _, t := range r.Tests {
		if !t.Conformance() {
			if t.Outcome == junit.Failed { // a suite's own steps: BeforeSuite, ReportAfterSuite
				problem("%s failed, which is no test but a step of the suite: %s", t.Name, t.Reason)
			}
			continue
		}
		if _, twice := ran[t.Name]; twice {
			problem("%s is in the report twice", t.Name)
		}
		ran[t.Name] = t.Outcome
		switch t.Outcome {
		case junit.Passed:
			counts.Passed++
		case junit.Failed:
			counts.Failed++
			failures = append(failures, Failure{Name: t.Name, Reason: t.Reason, Expected: reasonFor(want.Failures, t.Name)})
		case junit.Skipped:
			skipped = append(skipped, t.Name)
		}
	}
	counts.Ran = counts.Passed + counts.Failed
	counts.Wanted = max(want.Tests, len(want.Names))
	if counts.Ran == 0 {
		problem("no conformance test ran")
	}
	if counts.Ran < want.Tests {
		problem("%d conformance tests ran, the version has %d", counts.Ran, want.Tests)
	}
	all := len(want.Names) == 0 && want.Tests > 0 // without a list or a number, what ran is what was wanted
	if len(want.Names) == 0 && want.Tests == 0 {
		counts.Wanted = counts.Ran
	}
	for _, s := range skipped {
		if all || slices.Contains(want.Names, s) {
			counts.Skipped++
			problem("skipped: %s", s)
		}
	}
	for _, n := range want.Names {
		if _, there := ran[n]; !there {
			problem("not in the report: %s", n)
		}
	}
	slices.SortFunc(failures, func(a, b Failure) int { return strings.Compare(a.Name, b.Name) })
	for _, f := range failures {
		if f.Expected != "" {
			counts.Expected++
			continue
		}
		problem("failed: %s: %s", f.Name, f.Reason)
	}
	for _, e := range want.Failures {
		if ran[e.Name] == junit.Passed {
			problem("passed, though it is in the list of expected failures; take it out: %s", e.Name)
		}
	}
	return counts, failures, problems
}

func reasonFor(all []ExpectedFailure, name string) string {
	for _, e := range all {
		if e.Name == name {
			return e.Reason
		}
	}
	return ""
}
