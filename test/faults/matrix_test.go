package faults

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"slipway.build/slipway/test/testnode"
)

var (
	fullMatrix  = flag.Bool("full", false, "run the whole matrix instead of its bounded part")
	summaryFile = flag.String("summary", "", "write the last line to this file, too")
	onlyStep    = flag.String("step", "", "run only the cases at this step, as it is printed")
	onlyFault   = flag.String("fault", "", "run only the cases of the faults that begin so")
	nodes       = flag.Int("nodes", 2, "how many nodes work side by side")
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
		if fits(at, unix.ENOSPC) && i%12 == 0 {
			out = append(out, one{at.String(), "no space from here on, for a while", func(w *world) func() (string, error) { return w.full(at, 700*time.Millisecond) }})
		}
	}
	return out
}

// all returns every case that needs a node, those that only wait for a long time first.
func all(steps []step) []one {
	var out []one
	for _, part := range [][]one{units(), registries(), signals(), fullDisks(), clocks(steps), replaced(steps), reboots(steps), calls(steps)} {
		out = append(out, part...)
	}
	return out
}

// bounded is the part of the matrix that `make test` runs: every kind of fault that is quick, at
// steps all over the transition.
func bounded(cases []one) []one {
	const most = 32
	var quick, out []one
	for _, c := range cases {
		switch c.fault {
		case "a component that fails after 20 seconds", "a component that fails after 20 seconds, for good":
		default:
			quick = append(quick, c)
		}
	}
	for i := range most {
		out = append(out, quick[i*len(quick)/most])
	}
	return out
}

// chosen reports whether flags ask for a case.
func chosen(o one) bool {
	return (*onlyStep == "" || *onlyStep == o.at) && strings.HasPrefix(o.fault, *onlyFault)
}

// TestTheMatrix runs the cases on several nodes side by side, then power losses.
func TestTheMatrix(t *testing.T) {
	p := buildPrograms(t)
	total := newTally()
	if !*fullMatrix {
		*nodes = 1
	}
	picked := *onlyStep != "" || *onlyFault != ""
	queue := make(chan one)
	var once sync.Once
	fill := func(steps []step) {
		cases := all(steps)
		if !*fullMatrix && !picked {
			cases = bounded(cases)
		}
		go func() {
			defer close(queue)
			for _, c := range cases {
				if chosen(c) {
					queue <- c
				}
			}
		}()
	}
	t.Run("nodes", func(t *testing.T) {
		for i := range *nodes {
			t.Run(string(rune('a'+i)), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, testnode.Name(t, "slipt-matrix"), p)
				w.first()
				once.Do(func() {
					steps := w.record(t, 3)
					t.Logf("a transition has %d steps", len(steps))
					fill(steps)
				})
				for c := range queue {
					w.run(total, c.at, c.fault, c.make(w))
				}
				if i > 0 {
					return
				}
				quiet(w)
				random, inNode := 0, 2
				only := chosen
				if *fullMatrix {
					random, inNode = 2, 12
				} else if !picked {
					only = each(8)
				}
				w.powerLosses(total, random, inNode, only)
			})
		}
	})
	for _, line := range total.details() {
		t.Log(line)
	}
	if *summaryFile != "" {
		if err := os.WriteFile(*summaryFile, []byte(total.summary()+"\n"), 0o644); err != nil {
			t.Error(err)
		}
	}
	if least := 300; *fullMatrix && !picked && len(total.pairs) < least {
		t.Errorf("%d distinct pairs of step and fault, want at least %d", len(total.pairs), least)
	}
	fmt.Println(total.summary())
}

// each chooses every nth case.
func each(n int) func(one) bool {
	i := -1
	return func(one) bool {
		i++
		return i%n == 0
	}
}
