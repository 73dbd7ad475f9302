package integration

import (
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the real outputs into docs/debugging.md")

// debugging is the document whose outputs are real.
const debugging = "../../docs/debugging.md"

// document compares the outputs in the document with what was just seen, in shape: digests, times
// and numbers may differ. With -update it writes them.
func document(t *testing.T, outputs map[string]string) {
	t.Helper()
	raw, err := os.ReadFile(debugging)
	must(t, err)
	text := string(raw)
	for name, output := range outputs {
		begin, end := "<!-- output: "+name+" -->\n```\n", "```\n"
		_, rest, ok := strings.Cut(text, begin)
		if !ok {
			t.Errorf("docs/debugging.md has no output %q", name)
			continue
		}
		documented, after, ok := strings.Cut(rest, end)
		if !ok {
			t.Errorf("docs/debugging.md: output %q does not end", name)
			continue
		}
		now := essence(output)
		if *update {
			text = strings.Replace(text, begin+documented+end+after, begin+now+end+after, 1)
		} else if shape(documented) != shape(now) {
			t.Errorf("docs/debugging.md shows for %q\n%s\nand it is\n%s\nrun this test with -update", name, documented, now)
		}
	}
	if *update {
		must(t, os.WriteFile(debugging, []byte(text), 0o644))
	}
}

// essence is the part of an output that leads to the cause: the subject, and causes with what to do.
func essence(output string) string {
	var out strings.Builder
	for line := range strings.Lines(output + "\n") {
		label, _, _ := strings.Cut(line, " ")
		switch label {
		case "unit", "node", "cause", "":
			if label == "" && !strings.Contains(line, "-> ") {
				continue
			}
			out.WriteString(line)
		}
	}
	return out.String()
}

// shape is a text without what differs from run to run.
func shape(text string) string {
	for _, rule := range []struct{ pattern, with string }{
		{`[0-9a-f]{12,}`, "H"},
		{`[0-9a-f]{8}(-[0-9a-f]{4}){3}-H`, "U"},
		{`[0-9]+(\.[0-9]+)?(h[0-9]*)?(m[0-9]*)?(ms|µs|s)\b`, "T"},
		{`[0-9]+`, "N"},
		{`; it runs again`, ""},
		{`(activating|failed|active) \([a-z-]+\)`, "S"},
	} {
		text = regexp.MustCompile(rule.pattern).ReplaceAllString(text, rule.with)
	}
	return text
}
