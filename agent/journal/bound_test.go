package journal_test

import (
	"fmt"
	"strings"
	"testing"

	"slipway.build/slipway/agent/journal"
	"slipway.build/slipway/agent/protocol"
)

// all returns what is in the outbox, in order.
func all(t *testing.T, j *journal.Journal) []protocol.Signal {
	t.Helper()
	var out []protocol.Signal
	for {
		queued, err := j.Queue(1000)
		if err != nil {
			t.Fatal(err)
		}
		if len(queued) == 0 {
			return out
		}
		for _, q := range queued {
			out = append(out, q.Signal)
		}
		if err := j.Accepted(queued); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDaysWithoutAControlPlaneLoseNoVerdict fills the outbox far beyond its bounds.
func TestDaysWithoutAControlPlaneLoseNoVerdict(t *testing.T) {
	j, err := journal.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	put := func(s protocol.Signal) {
		t.Helper()
		if err := j.Enqueue(s); err != nil {
			t.Fatal(err)
		}
	}
	verdicts, last := 0, ""
	for n := range 150 {
		deployment, action := fmt.Sprint("d-", n), fmt.Sprint("a-", n)
		for _, phase := range []protocol.Phase{protocol.Joined, protocol.Staged, protocol.Switched} {
			put(protocol.Signal{ID: fmt.Sprint(phase, n), Deployment: deployment, Phase: phase})
		}
		put(protocol.Signal{ID: fmt.Sprint("began", n), Phase: protocol.Acted, Action: &protocol.ActionAnswer{ID: action, Status: protocol.ActionStarted}})
		last = fmt.Sprint("observed", n)
		put(protocol.Signal{ID: last, Phase: protocol.Observed})
		put(protocol.Signal{ID: fmt.Sprint("end", n), Deployment: deployment, Phase: protocol.Failed, Log: strings.Repeat("log ", 2<<10)})
		put(protocol.Signal{ID: fmt.Sprint("back", n), Deployment: deployment, Phase: protocol.RolledBack})
		put(protocol.Signal{ID: fmt.Sprint("done", n), Phase: protocol.Acted, Action: &protocol.ActionAnswer{
			ID: action, Status: protocol.ActionDone, Output: strings.Repeat("output ", 8<<10),
		}})
		verdicts += 3
	}
	put(protocol.Signal{ID: "open", Deployment: "d-open", Phase: protocol.Switched})
	kept := map[string]bool{}
	size, got := 0, 0
	for _, s := range all(t, j) {
		kept[s.ID] = true
		size += len(s.Log)
		if s.Action != nil {
			size += len(s.Action.Output)
		}
		if s.Phase == protocol.Failed || s.Phase == protocol.RolledBack || s.Action != nil && s.Action.Status == protocol.ActionDone {
			got++
		}
	}
	if got != verdicts {
		t.Errorf("%d verdicts are left of %d", got, verdicts)
	}
	if !kept[last] || !kept["open"] {
		t.Error("the newest observation, or a phase whose outcome is open, was dropped")
	}
	if size > 5<<20 || len(kept) > 600 {
		t.Errorf("%d bytes of texts in %d signals are left", size, len(kept))
	}
}

func TestBelowItsBoundsNothingIsDropped(t *testing.T) {
	j, err := journal.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	for n := range 100 {
		for _, phase := range []protocol.Phase{protocol.Joined, protocol.Healthy} {
			if err := j.Enqueue(protocol.Signal{ID: fmt.Sprint(phase, n), Deployment: fmt.Sprint(n), Phase: phase}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := len(all(t, j)); got != 200 {
		t.Errorf("%d signals are left of 200", got)
	}
}

func TestRefusalsOfWhatIsNoPlanOfTheNodeAreBounded(t *testing.T) {
	j, err := journal.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	const sent = 560
	for n := range sent {
		if err := j.Enqueue(protocol.Signal{ID: fmt.Sprint(n), Phase: protocol.Refused, Reason: "it is for another node"}); err != nil {
			t.Fatal(err)
		}
	}
	left := all(t, j)
	if len(left) > 512 || left[len(left)-1].ID != fmt.Sprint(sent-1) {
		t.Errorf("%d are left, the last is %s", len(left), left[len(left)-1].ID)
	}
}
