// Command summary turns the JSON of `go test -json` back into go test's own lines, shows the
// output of what failed, and ends with what was skipped and why and with the counts. It exits
// with 1 when anything failed or when no test ran.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"
)

// event is one line of `go test -json` (go doc test2json) or of `go build -json`.
type event struct {
	Action     string
	Package    string
	ImportPath string
	Test       string
	Elapsed    float64
	Output     string
}

// name is one test.
type name struct{ pkg, test string }

// tally is what has been seen so far.
type tally struct {
	out     io.Writer
	output  map[name][]string
	passed  int
	failed  []name
	skipped map[name]string
	broken  []string // packages that failed without a failing test
}

func main() {
	label := "test"
	if len(os.Args) > 1 {
		label = os.Args[1]
	}
	ok, err := summarize(os.Stdin, os.Stdout, label)
	if err != nil {
		fmt.Fprintln(os.Stderr, "summary:", err)
		os.Exit(1)
	}
	if !ok {
		os.Exit(1)
	}
}

// summarize reads events from in until its end and reports whether all is well.
func summarize(in io.Reader, out io.Writer, label string) (bool, error) {
	t := &tally{out: out, output: map[name][]string{}, skipped: map[name]string{}}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			fmt.Fprintln(out, lines.Text()) // not from test2json: show it as it is
			continue
		}
		t.add(e)
	}
	if err := lines.Err(); err != nil {
		return false, fmt.Errorf("read go test's output: %w", err)
	}
	return t.close(label), nil
}

func (t *tally) add(e event) {
	n := name{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		fmt.Fprint(t.out, e.Output)
	case "output":
		t.keep(n, e)
	case "pass":
		if e.Test != "" {
			t.passed++
			delete(t.output, n)
		}
	case "skip":
		if e.Test != "" {
			t.skipped[n] = reason(t.output[n])
			delete(t.output, n)
		}
	case "fail":
		if e.Test != "" {
			t.failed = append(t.failed, n)
			for _, l := range t.output[n] {
				fmt.Fprint(t.out, l)
			}
			delete(t.output, n)
			return
		}
		t.fail(e.Package)
	}
}

// keep holds the output of a test back until it is known how the test ended, and shows a
// package's own closing line at once.
func (t *tally) keep(n name, e event) {
	if e.Test != "" {
		t.output[n] = append(t.output[n], e.Output)
		return
	}
	for _, prefix := range []string{"ok  \t", "FAIL\t", "---", "panic:", "?   \t"} {
		if strings.HasPrefix(e.Output, prefix) {
			if prefix != "?   \t" {
				fmt.Fprint(t.out, e.Output)
			}
			return
		}
	}
	t.output[n] = append(t.output[n], e.Output)
}

// fail notes a package that failed; without a failing test its output is all there is to see.
func (t *tally) fail(pkg string) {
	for _, n := range t.failed {
		if n.pkg == pkg {
			return
		}
	}
	t.broken = append(t.broken, pkg)
	for n, output := range t.output {
		if n.pkg == pkg {
			fmt.Fprint(t.out, strings.Join(output, ""))
		}
	}
}

// reason finds what a test said when it skipped.
func reason(output []string) string {
	var said []string
	for _, l := range output {
		l = strings.TrimSpace(l)
		if l == "" || strings.HasPrefix(l, "=== ") || strings.HasPrefix(l, "--- ") {
			continue
		}
		if _, after, ok := strings.Cut(l, ".go:"); ok {
			if _, text, ok := strings.Cut(after, ": "); ok {
				l = text
			}
		}
		said = append(said, l)
	}
	if len(said) == 0 {
		return "no reason given"
	}
	return strings.Join(said, " ")
}

// close writes the end of the summary and reports whether all is well.
func (t *tally) close(label string) bool {
	if len(t.skipped) > 0 {
		fmt.Fprintf(t.out, "%s: skipped, and why:\n", label)
		byReason := map[string][]string{}
		for n, why := range t.skipped {
			byReason[why] = append(byReason[why], short(n))
		}
		var reasons []string
		for why := range byReason {
			reasons = append(reasons, why)
		}
		sort.Strings(reasons)
		for _, why := range reasons {
			sort.Strings(byReason[why])
			fmt.Fprintf(t.out, "  %s: %s\n", why, strings.Join(byReason[why], ", "))
		}
	}
	for _, n := range t.failed {
		fmt.Fprintf(t.out, "%s: failed: %s\n", label, short(n))
	}
	for _, pkg := range t.broken {
		fmt.Fprintf(t.out, "%s: failed: package %s\n", label, pkg)
	}
	failed := len(t.failed) + len(t.broken)
	if t.passed+failed == 0 {
		fmt.Fprintf(t.out, "%s: no test ran\n", label)
		return false
	}
	fmt.Fprintf(t.out, "%s: %d passed, %d failed, %d skipped\n", label, t.passed, failed, len(t.skipped))
	return failed == 0
}

func short(n name) string {
	return strings.TrimPrefix(n.pkg, "slipway.build/slipway/") + "." + n.test
}
