package faults

import (
	"fmt"
	"sync"
	"time"
)

// tally counts what became of the cases.
type tally struct {
	mu    sync.Mutex
	old   int
	new   int
	mixed int
	pairs map[string]bool // of step and fault
	kinds map[string]int  // of faults
	spent map[string]time.Duration
}

func newTally() *tally {
	return &tally{pairs: map[string]bool{}, kinds: map[string]int{}, spent: map[string]time.Duration{}}
}

// verdicts of a case: which generation the node had whole when the fault had struck.
const (
	foundOld   = "old"
	foundNew   = "new"
	foundMixed = "mixed"
)

func (t *tally) add(step, fault, verdict string, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch verdict {
	case foundOld:
		t.old++
	case foundNew:
		t.new++
	default:
		t.mixed++
	}
	t.pairs[step+"\x00"+fault] = true
	t.kinds[fault]++
	t.spent[fault] += took
}

func (t *tally) summary() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return fmt.Sprintf("cases %d, old %d, new %d, mixed %d", t.old+t.new+t.mixed, t.old, t.new, t.mixed)
}

// details tells how many cases there were of each fault, and how long they took.
func (t *tally) details() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []string
	for fault, n := range t.kinds {
		out = append(out, fmt.Sprintf("%-50s %4d cases, %s each", fault, n, (t.spent[fault]/time.Duration(n)).Round(10*time.Millisecond)))
	}
	return append(out, fmt.Sprintf("%d distinct pairs of step and fault", len(t.pairs)))
}
