package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheMedianOfPhasesIsReported(t *testing.T) {
	all := []run{
		{seconds: 30, phases: []phase{{"staged", 6}, {"complete", 30}}, nodes: []node{{name: "m0", processor: 3, received: 1 << 20, verified: 2 << 20}}, processor: 3},
		{seconds: 10, phases: []phase{{"staged", 4}, {"complete", 10}}, processor: 2},
		{seconds: 20, phases: []phase{{"staged", 5}, {"complete", 20}}, processor: 1},
	}
	var out bytes.Buffer
	report(&out, "3+3", all)
	for _, want := range []string{"staged                       5.00", "complete                     20.00", "processor time of all nodes  2.0"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out.String())
		}
	}
	if got := median(all[:2], func(r run) float64 { return r.seconds }); got != 20 {
		t.Errorf("the median of 10 and 30 is %v", got)
	}
}

func TestTheCgroupOfTheWholeNodeIsFound(t *testing.T) {
	for in, want := range map[string]string{
		"/slip/slip-srv-12345678/init.scope":                      "slip/slip-srv-12345678",
		"/slip-srv-12345678":                                      "slip-srv-12345678",
		"/system.slice/slip-srv-12345678.service/payload/x.scope": "system.slice/slip-srv-12345678.service",
		"/other": "/other",
	} {
		if got := whole(in); got != want {
			t.Errorf("whole(%s) = %s, want %s", in, got, want)
		}
	}
}

func TestAFileWithTwoNamesIsStoredOnce(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a"), make([]byte, 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(filepath.Join(dir, "a"), filepath.Join(dir, "b")); err != nil {
		t.Fatal(err)
	}
	if n, err := stored(dir); err != nil || n != 1000 {
		t.Errorf("stored %d, %v", n, err)
	}
}
