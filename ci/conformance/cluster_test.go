package conformance

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"slipway.build/slipway/ci/conformance/programs"
)

func TestContainerdIsToldOfPlainHTTP(t *testing.T) {
	const want = `server = "http://192.0.2.1:5001"

[host."http://192.0.2.1:5001"]
  capabilities = ["pull", "resolve"]
`
	if got := string(hosts("192.0.2.1:5001")); got != want {
		t.Errorf("got %s", got)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	good := Options{Tree: "/tree", Output: "out"}
	o, err := good.complete()
	if err != nil || o.Parallel != 8 || o.Slipway != "/tree/bin/slipway" || !filepath.IsAbs(o.Output) {
		t.Errorf("%+v, %v", o, err)
	}
	for name, bad := range map[string]Options{
		"no tree":                 {Output: "out"},
		"a relative tree":         {Tree: "tree", Output: "out"},
		"no output":               {Tree: "/tree"},
		"all and a focus":         {Tree: "/tree", Output: "out", All: true, Focus: "x"},
		"too many at a time":      {Tree: "/tree", Output: "out", Parallel: 1000},
		"fewer than none at once": {Tree: "/tree", Output: "out", Parallel: -1},
	} {
		if _, err := bad.complete(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// judged runs the judgement over a directory that has this report, or none.
func judged(t *testing.T, report string, want Expectation) (*Result, error) {
	t.Helper()
	o := Options{Tree: "/tree", Output: t.TempDir()}
	if report != "" {
		if err := os.WriteFile(filepath.Join(o.Output, junitFile), []byte(report), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r := &Result{Kubernetes: programs.Kubernetes, Suite: "all", Output: o.Output}
	return r, o.judge(r, want)
}

func TestARunIsJudgedAndDescribed(t *testing.T) {
	r, err := judged(t, `<testsuites tests="1"><testsuite tests="1"><testcase name="[It] a [Conformance]" status="passed"/></testsuite></testsuites>`, Expectation{Tests: 1})
	if err != nil || !r.Held || r.Passed != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	var summary Result
	text, err := os.ReadFile(filepath.Join(r.Output, summaryFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &summary); err != nil || summary.Passed != 1 || !summary.Held {
		t.Errorf("summary %s: %v", text, err)
	}
	for file, want := range map[string]string{productFile: "k8s_version: v1.36.3\n", readmeFile: "1 of 1 conformance tests passed"} {
		text, err := os.ReadFile(filepath.Join(r.Output, file))
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s: %v: %s", file, err, text)
		}
	}
}

func TestARunWithoutAWholeReportIsNotHeld(t *testing.T) {
	for name, text := range map[string]string{"no report": "", "a cut one": "<testsuites><testsuite>"} {
		t.Run(name, func(t *testing.T) {
			r, err := judged(t, text, Expectation{Tests: 1})
			if !errors.Is(err, ErrNotHeld) || r.Held || len(r.Problems) == 0 {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
}
