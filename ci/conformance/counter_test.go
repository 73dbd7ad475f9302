package conformance

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// output is what ginkgo 2 prints with -v and --no-color, shortened.
const output = `Running Suite: Kubernetes e2e suite
Will run 4 of 7403 specs
Running in parallel across 8 processes
SSSSSSSS
------------------------------
• [5.123 seconds]
[sig-node] Pods should start [Conformance]
------------------------------
• [FAILED] [305.001 seconds]
[sig-node] Pods should end [Conformance]
  • [1.000 seconds] is what a pod has printed
------------------------------
• [PANICKED!] [0.100 seconds]
S [SKIPPED] [0.001 seconds]
• [0.500 seconds]
[ReportAfterSuite] PASSED [0.010 seconds]
`

func TestTheCounterFollowsGinkgo(t *testing.T) {
	var last Progress
	failures := 0
	c := &counter{report: func(p Progress) {
		if p.Failed > last.Failed {
			failures++
		}
		last = p
	}}
	if _, err := io.Copy(c, iotest.OneByteReader(strings.NewReader(output+strings.Repeat("x", 3*maxLine)))); err != nil {
		t.Fatal(err)
	}
	c.end()
	if last.Done != 4 || last.Failed != 2 || last.Total != 4 || failures != 2 {
		t.Errorf("got %+v after %d reports of failures", last, failures)
	}
	if cap(c.line) > 2*maxLine {
		t.Errorf("%d bytes of one line were kept", cap(c.line))
	}
}
