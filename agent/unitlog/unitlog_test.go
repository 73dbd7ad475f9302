package unitlog

import (
	"strings"
	"testing"
)

func TestTheLineThatTellsTheCauseIsPicked(t *testing.T) {
	for log, want := range map[string]string{
		"":           "",
		"\n  \n":     "",
		"one\ntwo\n": "two",
		"starting\nE1 run.go:72] \"command failed\" err=\"unknown flag: --x\"\nit ended with exit status 1\n": `E1 run.go:72] "command failed" err="unknown flag: --x"`,
		"error: first\nerror: second\nbye": "error: second",
		"merry: an errand":                 "merry: an errand",
		"err " + strings.Repeat("ä", 300):  "err " + strings.Repeat("ä", 198) + "…",
	} {
		if got := cause(log); got != want {
			t.Errorf("%.60q: %q, want %q", log, got, want)
		}
	}
}
