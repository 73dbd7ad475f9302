package footprint

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// resident returns how much of the program's file is mapped, in KiB.
func resident(t *testing.T) int {
	t.Helper()
	raw, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "RssFile:" {
			n, err := strconv.Atoi(fields[1])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatal("the kernel says nothing of RssFile")
	return 0
}

func TestAProcessThatRestsHoldsLittleOfItsProgramAndGoesOn(t *testing.T) {
	if len(program()) == 0 {
		t.Fatal("the program is not found among the mappings")
	}
	before := resident(t)
	Rest()
	if after := resident(t); after >= before {
		t.Errorf("%d KiB of the program are mapped, %d before", after, before)
	}
	Work()
	if got := strings.Repeat("ab", 3); got != "ababab" {
		t.Errorf("it computes %q", got)
	}
}
