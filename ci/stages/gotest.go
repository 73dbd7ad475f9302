package stages

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"slipway.build/slipway/ci/report"
)

// maxReason bounds what is kept of a failing test's output; the log has all of it.
const maxReason = 2000

// goTest counts the tests in the JSON of `go test -json`, and copies their output to a log.
type goTest struct {
	suite   string
	log     io.Writer
	say     func(string)
	rest    []byte
	tests   report.Tests
	outputs map[string]string
	broken  bool // a package failed outside of its tests
}

func (g *goTest) Write(b []byte) (int, error) {
	g.rest = append(g.rest, b...)
	for {
		line, rest, whole := bytes.Cut(g.rest, []byte{'\n'})
		if !whole {
			return len(b), nil
		}
		g.rest = rest
		g.line(line)
	}
}

func (g *goTest) line(text []byte) {
	var e struct{ Action, Package, Test, Output string }
	if json.Unmarshal(text, &e) != nil {
		fmt.Fprintf(g.log, "%s\n", text)
		return
	}
	fmt.Fprint(g.log, e.Output)
	if e.Test == "" {
		g.broken = g.broken || e.Action == "fail" || e.Action == "build-fail"
		return
	}
	if g.outputs == nil {
		g.outputs = map[string]string{}
	}
	name := e.Test
	switch e.Action {
	case "run":
		g.say(name)
	case "output":
		if !strings.HasPrefix(strings.TrimSpace(e.Output), "=== ") {
			g.outputs[name] += e.Output
		}
	case "pass":
		g.tests.Passed++
	case "fail":
		g.tests.Failed++
		g.tests.Cases = append(g.tests.Cases, report.Case{Name: name, State: "failed", Reason: tail(g.outputs[name])})
	case "skip":
		g.tests.Skipped++
		g.tests.Cases = append(g.tests.Cases, report.Case{Name: name, State: "skipped", Reason: tail(g.outputs[name])})
	}
}

// end returns the counts, and an error unless tests ran and none failed.
func (g *goTest) end() (report.Tests, error) {
	g.tests.Suite = g.suite
	slices.SortFunc(g.tests.Cases, func(a, b report.Case) int { return strings.Compare(a.State+a.Name, b.State+b.Name) })
	switch {
	case g.tests.Failed > 0:
		return g.tests, fmt.Errorf("%d of %d tests failed, %s among them", g.tests.Failed, g.tests.Failed+g.tests.Passed, g.innermost())
	case g.broken:
		return g.tests, fmt.Errorf("%s failed outside of its tests; the log tells how", g.suite)
	case g.tests.Passed == 0:
		return g.tests, fmt.Errorf("no test of %s ran", g.suite)
	}
	return g.tests, nil
}

// innermost is a failed test that did not fail because of one inside of it.
func (g *goTest) innermost() string {
	for _, c := range g.tests.Cases {
		inner := slices.ContainsFunc(g.tests.Cases, func(o report.Case) bool { return o.State == "failed" && strings.HasPrefix(o.Name, c.Name+"/") })
		if c.State == "failed" && !inner {
			return c.Name
		}
	}
	return g.tests.Cases[0].Name
}

// tail is the end of an output, whole characters.
func tail(text string) string {
	text = strings.TrimSpace(strings.ToValidUTF8(text, "�"))
	if len(text) <= maxReason {
		return text
	}
	cut := len(text) - maxReason
	for !utf8.RuneStart(text[cut]) {
		cut++
	}
	return "…" + text[cut:]
}
