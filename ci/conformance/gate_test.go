package conformance

import (
	"fmt"
	"strings"
	"testing"

	"slipway.build/slipway/ci/conformance/junit"
)

func names(n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("[sig-test] thing %d works [Conformance]", i))
	}
	return all
}

func report(names []string, change map[int]junit.Outcome) *junit.Report {
	r := &junit.Report{Tests: []junit.Test{{Name: "[ReportAfterSuite] report", Outcome: junit.Passed}, {Name: "[sig-test] other", Outcome: junit.Skipped}}}
	for i, n := range names {
		t := junit.Test{Name: n, Outcome: junit.Passed}
		if o, ok := change[i]; ok {
			t.Outcome = o
		}
		if t.Outcome == junit.Failed {
			t.Reason = "it broke"
		}
		r.Tests = append(r.Tests, t)
	}
	return r
}

func TestTheGate(t *testing.T) {
	all := names(10)
	expected := []ExpectedFailure{{Name: all[3], Until: "calico", Reason: "no policy"}}
	tests := []struct {
		name     string
		report   *junit.Report
		want     Expectation
		counts   Counts
		problems []string // a part of each
	}{
		{"holds when all passed", report(all, nil), Expectation{Tests: 10},
			Counts{Wanted: 10, Ran: 10, Passed: 10}, nil},
		{"refuses an empty run", &junit.Report{}, Expectation{Tests: 10},
			Counts{Wanted: 10}, []string{"no conformance test ran", "0 conformance tests ran, the version has 10"}},
		{"refuses fewer tests than the version has", report(all[:9], nil), Expectation{Tests: 10},
			Counts{Wanted: 10, Ran: 9, Passed: 9}, []string{"9 conformance tests ran, the version has 10"}},
		{"refuses a skipped test", report(all, map[int]junit.Outcome{4: junit.Skipped}), Expectation{Tests: 9},
			Counts{Wanted: 9, Ran: 9, Passed: 9, Skipped: 1}, []string{"skipped: " + all[4]}},
		{"refuses a failure", report(all, map[int]junit.Outcome{4: junit.Failed}), Expectation{Tests: 10},
			Counts{Wanted: 10, Ran: 10, Passed: 9, Failed: 1}, []string{"failed: " + all[4] + ": it broke"}},
		{"lets an expected failure pass", report(all, map[int]junit.Outcome{3: junit.Failed}), Expectation{Tests: 10, Failures: expected},
			Counts{Wanted: 10, Ran: 10, Passed: 9, Failed: 1, Expected: 1}, nil},
		{"refuses an expected failure that passed", report(all, nil), Expectation{Tests: 10, Failures: expected},
			Counts{Wanted: 10, Ran: 10, Passed: 10}, []string{"take it out: " + all[3]}},
		{"an expected failure may not be skipped", report(all, map[int]junit.Outcome{3: junit.Skipped}), Expectation{Tests: 9, Failures: expected},
			Counts{Wanted: 9, Ran: 9, Passed: 9, Skipped: 1}, []string{"skipped: " + all[3]}},
		{"refuses a test that is there twice", report(append(names(9), all[0]), nil), Expectation{Tests: 10},
			Counts{Wanted: 10, Ran: 10, Passed: 10}, []string{"twice"}},
		{"a focus skips the others", report(all, map[int]junit.Outcome{0: junit.Skipped, 9: junit.Skipped}), Expectation{Tests: 8, Names: all[1:9]},
			Counts{Wanted: 8, Ran: 8, Passed: 8}, nil},
		{"a focus without a list wants what ran", report(all, map[int]junit.Outcome{0: junit.Skipped}), Expectation{},
			Counts{Wanted: 9, Ran: 9, Passed: 9}, nil},
		{"a focus without a list wants something to run", report(all[:1], map[int]junit.Outcome{0: junit.Skipped}), Expectation{},
			Counts{}, []string{"no conformance test ran"}},
		{"a focus whose test is not there", report(all[:5], nil), Expectation{Tests: 5, Names: all[1:6]},
			Counts{Wanted: 5, Ran: 5, Passed: 5}, []string{"not in the report: " + all[5]}},
		{"a focus whose test is skipped", report(all, map[int]junit.Outcome{2: junit.Skipped}), Expectation{Tests: 2, Names: all[1:3]},
			Counts{Wanted: 2, Ran: 9, Passed: 9, Skipped: 1}, []string{"skipped: " + all[2]}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			counts, _, problems := Judge(tt.report, tt.want)
			if counts != tt.counts {
				t.Errorf("got %+v, want %+v", counts, tt.counts)
			}
			if len(problems) != len(tt.problems) {
				t.Fatalf("problems %q, want %q", problems, tt.problems)
			}
			for i, p := range tt.problems {
				if !strings.Contains(problems[i], p) {
					t.Errorf("problem %q, want %q", problems[i], p)
				}
			}
		})
	}
}

func TestAFailedStepOfTheSuiteIsAProblem(t *testing.T) {
	r := report(names(1), nil)
	r.Tests[0].Outcome = junit.Failed
	_, _, problems := Judge(r, Expectation{Tests: 1})
	if len(problems) != 1 || !strings.Contains(problems[0], "ReportAfterSuite") {
		t.Errorf("problems %q", problems)
	}
}
