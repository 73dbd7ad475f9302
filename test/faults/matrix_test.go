package faults

import (
	"flag"
	"fmt"
	"os"
	"slices"
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

// bounded is the part of a family that `make test` runs: every kind of fault that is quick, at steps
// all over the transition.
func bounded(cases []one, most int) []one {
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

// picked reports whether flags ask for some cases alone.
func picked() bool { return *onlyStep != "" || *onlyFault != "" }

// family is the cases of one kind of transition. The node that comes first records the steps, and
// all of them take cases from the queue.
type family struct {
	once  sync.Once
	queue chan one
}

// run runs cases on a node until there are none left. In the bounded part there are at most most.
func (f *family) run(w *world, total *tally, most int, cases func() []one) {
	w.t.Helper()
	f.once.Do(func() {
		var list []one
		defer func() { // whatever becomes of the recording, no other node may wait for ever
			go func() {
				defer close(f.queue)
				for _, c := range list {
					f.queue <- c
				}
			}()
		}()
		list = cases()
		if !*fullMatrix && !picked() {
			list = bounded(list, most)
		}
		list = slices.DeleteFunc(list, func(c one) bool { return !chosen(c) })
	})
	for c := range f.queue {
		w.run(total, c.at, c.fault, c.make(w))
	}
}

// TestTheMatrix runs the cases on several nodes side by side, then power losses: first those of a
// node's first generation, then those of later ones.
func TestTheMatrix(t *testing.T) {
	p := buildPrograms(t)
	total := newTally()
	if !*fullMatrix {
		*nodes = 1
	}
	first, later := &family{queue: make(chan one)}, &family{queue: make(chan one)}
	t.Run("nodes", func(t *testing.T) {
		for i := range *nodes {
			t.Run(string(rune('a'+i)), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, testnode.Name(t, "slipt-matrix"), p)
				w.boot()
				w.undisturbed() // it joins
				first.run(w, total, 6, func() []one {
					steps := w.record(t, 2, w.emptied)
					t.Logf("a first plan has %d steps", len(steps))
					return firstCases(steps)
				})
				if i == 0 {
					must(t, w.emptied())
					w.powerLosses(total, w.recordWrites(firstTime), sample{everyNth: 24, inNode: 1}, sample{everyNth: 1, random: 1, inNode: 6})
				}
				w.restart()
				later.run(w, total, 26, func() []one {
					steps := w.record(t, 3, func() error { return nil })
					t.Logf("a transition has %d steps", len(steps))
					return all(steps)
				})
				if i == 0 {
					quiet(w)
					w.powerLosses(total, w.recordWrites(""), sample{everyNth: 8, inNode: 2}, sample{everyNth: 1, random: 2, inNode: 12})
				}
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
	if least := 300; *fullMatrix && !picked() && len(total.pairs) < least {
		t.Errorf("%d distinct pairs of step and fault, want at least %d", len(total.pairs), least)
	}
	fmt.Println(total.summary())
}
