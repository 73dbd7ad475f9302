package junit

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

const whole = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites tests="4" disabled="1" errors="0" failures="1" time="12.5">
  <testsuite name="Kubernetes e2e suite" package="/x" tests="4" skipped="1" failures="1" time="12.5" timestamp="2026-11-22T00:00:00">
    <properties><property name="SuiteSucceeded" value="false"></property></properties>
    <testcase name="[It] [sig-node] Pods should start [Conformance]" classname="Kubernetes e2e suite" status="passed" time="1.5"></testcase>
    <testcase name="[It] [sig-node] Pods should end [Conformance]" classname="Kubernetes e2e suite" status="failed" time="2">
      <failure message="timed out  after&#xA;5s" type="failed">[FAILED] long story</failure>
      <system-err>&lt;log&gt;</system-err>
    </testcase>
    <testcase name="[It] [sig-node] Pods may be skipped" classname="Kubernetes e2e suite" status="skipped" time="0"><skipped message="skipped"></skipped></testcase>
    <testcase name="[ReportAfterSuite] Kubernetes e2e suite report" classname="Kubernetes e2e suite" status="passed" time="0.1"/>
  </testsuite>
</testsuites>
`

func TestAReportIsRead(t *testing.T) {
	r, err := Parse(strings.NewReader(whole))
	if err != nil {
		t.Fatal(err)
	}
	want := []Test{
		{"[sig-node] Pods should start [Conformance]", Passed, 1500 * time.Millisecond, ""},
		{"[sig-node] Pods should end [Conformance]", Failed, 2 * time.Second, "timed out after 5s"},
		{"[sig-node] Pods may be skipped", Skipped, 0, ""},
		{"[ReportAfterSuite] Kubernetes e2e suite report", Passed, 100 * time.Millisecond, ""},
	}
	if len(r.Tests) != len(want) {
		t.Fatalf("%d tests", len(r.Tests))
	}
	for i, w := range want {
		if r.Tests[i] != w {
			t.Errorf("got  %+v\nwant %+v", r.Tests[i], w)
		}
	}
	if !r.Tests[0].Conformance() || r.Tests[2].Conformance() {
		t.Error("conformance tests are not told from others")
	}
}

func TestACutReportIsRefusedWhereverItIsCut(t *testing.T) {
	for i := range len(strings.TrimSpace(whole)) - 1 {
		if _, err := Parse(strings.NewReader(whole[:i])); err == nil {
			t.Fatalf("cut after %d bytes: no error", i)
		}
	}
	if _, err := Parse(strings.NewReader(whole[:len(whole)/2])); !errors.Is(err, ErrTruncated) {
		t.Errorf("cut in the middle: %v", err)
	}
	if _, err := Parse(strings.NewReader("")); !errors.Is(err, ErrTruncated) {
		t.Errorf("empty: %v", err)
	}
}

func TestWhatIsNoReportIsRefused(t *testing.T) {
	suite := func(inner string) string { return "<testsuites><testsuite>" + inner + "</testsuite></testsuites>" }
	tests := []struct{ name, text, want string }{
		{"no XML", "Ran 446 of 7403 Specs", "empty or cut off"},
		{"another document", "<html></html>", "neither testsuites nor testsuite"},
		{"a document type", "<!DOCTYPE x [<!ENTITY a 'b'>]><testsuites></testsuites>", "document type"},
		{"an unknown entity", suite(`<testcase name="&a;"/>`), "entity"},
		{"tests that were taken out", `<testsuites tests="2"><testsuite><testcase name="a"/></testsuite></testsuites>`, "has 1"},
		{"a count that is none", `<testsuites tests="x"></testsuites>`, "has 0"},
		{"a test without name", suite("<testcase/>"), "no name"},
		{"a failure that calls itself passed", suite(`<testcase name="a" status="passed"><failure/></testcase>`), "status"},
		{"a passed test that calls itself failed", suite(`<testcase name="a" status="timedout"/>`), "status"},
		{"a time that is none", suite(`<testcase name="a" time="NaN"/>`), "time"},
		{"a time before the start", suite(`<testcase name="a" time="-1"/>`), "time"},
		{"crossed elements", "<testsuites><testsuite></testsuites></testsuite>", "syntax"},
		{"a second report", "<testsuites></testsuites><testsuites></testsuites>", "follows"},
		{"a name without end", suite(`<testcase name="` + strings.Repeat("a", MaxName+1) + `"/>`), "larger"},
		{"suites without end", strings.Repeat("<testsuite>", 100), "larger"},
		{"elements without end", suite("<properties>" + strings.Repeat("<x>", 100)), "larger"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse(strings.NewReader(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want something with %q", err, tt.want)
			}
		})
	}
}

func TestAReasonMayBeInTheElement(t *testing.T) {
	r, err := Parse(strings.NewReader("<testsuite><testcase name='a'><failure type='failed'>[FAILED] expected\n  this</failure></testcase></testsuite>"))
	if err != nil || r.Tests[0].Reason != "[FAILED] expected this" {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestErrorsNameTheLine(t *testing.T) {
	_, err := Parse(strings.NewReader("<testsuites>\n<testsuite>\n<testcase/>"))
	if err == nil || !strings.HasPrefix(err.Error(), "line 3: ") {
		t.Errorf("got %v", err)
	}
}

func TestTheBoundsHold(t *testing.T) {
	endless := io.MultiReader(strings.NewReader("<testsuites>"), spaces{})
	if _, err := parse(endless, 1<<20); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a report without end: %v", err)
	}
	many := io.MultiReader(strings.NewReader("<testsuites>"), strings.NewReader(strings.Repeat(`<testcase name="a"/>`, MaxTests+1)))
	if _, err := Parse(many); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too many tests: %v", err)
	}
	long := fmt.Sprintf(`<testsuite><testcase name="a"><failure message="%s"/></testcase></testsuite>`, strings.Repeat("ä", MaxReason))
	r, err := Parse(strings.NewReader(long))
	if err != nil || len(r.Tests[0].Reason) > MaxReason {
		t.Errorf("a long reason: %v", err)
	}
}

// spaces never ends.
type spaces struct{}

func (spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte("<testsuite tests='0'/>"))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := Parse(strings.NewReader(string(text)))
		if err != nil {
			return
		}
		for _, test := range r.Tests {
			if test.Name == "" || len(test.Name) > MaxName || len(test.Reason) > MaxReason || test.Took < 0 {
				t.Errorf("%+v", test)
			}
			if test.Outcome != Passed && test.Outcome != Failed && test.Outcome != Skipped {
				t.Errorf("outcome %q", test.Outcome)
			}
		}
	})
}
