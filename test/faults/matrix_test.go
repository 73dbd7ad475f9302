package faults

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

var (
	fullMatrix  = flag.Bool("full", false, "run the whole matrix instead of its bounded part")
	summaryFile = flag.String("summary", "", "write the last line to this file, too")
	onlyStep    = flag.String("step", "", "run only the cases at this step, as it is printed")
	onlyFault   = flag.String("fault", "", "run only the cases of this fault, as it is printed")
)

// one is a case of the matrix.
type one struct {
	at    string
	fault string
	make  func(w *world) func() (string, error)
}

// calls returns the cases at the system calls of a transition.
func calls(steps []step) []one {
	var out []one
	for i, at := range steps {
		out = append(out, one{at.String(), "kill", func(w *world) func() (string, error) { return w.killed(at) }})
		if fits(at, unix.ENOSPC) && i%2 == 0 {
			out = append(out, one{at.String(), "no space", func(w *world) func() (string, error) { return w.refused(at, unix.ENOSPC) }})
		}
		if fits(at, unix.EIO) && i%2 == 1 {
			out = append(out, one{at.String(), "input/output error", func(w *world) func() (string, error) { return w.refused(at, unix.EIO) }})
		}
	}
	return out
}

// chosen reports whether flags ask for a case.
func (o one) chosen() bool {
	return (*onlyStep == "" || *onlyStep == o.at) && (*onlyFault == "" || *onlyFault == o.fault)
}

// TestTheMatrix runs the cases that need a node, on several nodes side by side.
func TestTheMatrix(t *testing.T) {
	p := buildPrograms(t)
	total := newTally()
	t.Run("calls", func(t *testing.T) {
		w := newWorld(t, "slipt-faults-a", p)
		w.first()
		steps := w.record(t, 3)
		t.Logf("a transition has %d steps", len(steps))
		cases := calls(steps)
		for i, c := range cases {
			const bounded = 24
			if !c.chosen() || !*fullMatrix && *onlyStep == "" && i%(len(cases)/bounded) != 0 {
				continue
			}
			w.run(total, c.at, c.fault, c.make(w))
		}
	})
	for _, line := range total.details() {
		t.Log(line)
	}
	t.Log(total.summary())
	if *summaryFile != "" {
		if err := os.WriteFile(*summaryFile, []byte(total.summary()+"\n"), 0o644); err != nil {
			t.Error(err)
		}
	}
	fmt.Println(total.summary())
}
