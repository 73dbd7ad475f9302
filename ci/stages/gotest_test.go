package stages

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// stream is what `go test -json` prints, in pieces of odd sizes.
func stream(t *testing.T, g *goTest, lines ...string) {
	t.Helper()
	text := strings.Join(lines, "\n") + "\n"
	for len(text) > 0 {
		n := min(7, len(text))
		if _, err := g.Write([]byte(text[:n])); err != nil {
			t.Fatal(err)
		}
		text = text[n:]
	}
}

func event(action, test, output string) string {
	return fmt.Sprintf(`{"Action":%q,"Package":"p","Test":%q,"Output":%q}`, action, test, output)
}

func TestTestsAreCountedAndFailuresKeepTheirReasons(t *testing.T) {
	var log bytes.Buffer
	var said []string
	g := &goTest{suite: "s", log: &log, say: func(n string) { said = append(said, n) }}
	stream(t, g, "# not JSON", event("run", "A", ""), event("output", "A", "=== RUN A\n"), event("output", "A", "a_test.go:1: it broke\n"), event("fail", "A", ""),
		event("fail", "A/inner", ""), event("pass", "B", ""), event("output", "C", "no root"), event("skip", "C", ""), event("fail", "", ""))
	tests, err := g.end()
	if err == nil || err.Error() != "2 of 3 tests failed, A/inner among them" {
		t.Errorf("got %v", err)
	}
	if tests.Passed != 1 || tests.Failed != 2 || tests.Skipped != 1 || len(tests.Cases) != 3 || tests.Cases[0].Reason != "a_test.go:1: it broke" || tests.Cases[2].Reason != "no root" {
		t.Errorf("got %+v", tests)
	}
	if !strings.Contains(log.String(), "# not JSON\n") || strings.Join(said, " ") != "A" {
		t.Errorf("log %q, said %v", log.String(), said)
	}
}

func TestNoTestsAndBrokenPackagesDoNotPass(t *testing.T) {
	for want, lines := range map[string][]string{
		"no test of s ran":                {event("pass", "", "")},
		"s failed outside of its tests":   {event("pass", "A", ""), event("fail", "", "")},
		"s failed outside of its tests; ": {event("build-fail", "", "")},
	} {
		g := &goTest{suite: "s", log: &bytes.Buffer{}, say: func(string) {}}
		stream(t, g, lines...)
		if _, err := g.end(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v", lines, err)
		}
	}
	if got := tail(strings.Repeat("é", maxReason)); len(got) > maxReason+4 || !strings.HasPrefix(got, "…é") {
		t.Errorf("the end of a long output: %d bytes, %.10q", len(got), got)
	}
}
