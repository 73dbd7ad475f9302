package signal_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/journal"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/agent/signal"
)

// capricious refuses, loses and takes signals at random, and keeps the order of those it took.
type capricious struct {
	random  *rand.Rand
	seen    map[string]bool
	taken   map[string][]string // reasons by deployment
	refused map[string]bool     // reasons
}

func (c *capricious) Signals(_ context.Context, signals []protocol.Signal) error {
	for i, s := range signals {
		if s.Reason != "" && s.Reason[0] == 'x' {
			if len(signals) == 1 {
				c.refused[s.Reason] = true
			}
			return fault.Terminalf("there is no deployment %s", s.Deployment) // all or none
		}
		if c.random.IntN(20) == 0 && i == 0 {
			return fault.Retriablef("away")
		}
	}
	for _, s := range signals {
		if !c.seen[s.ID] {
			c.seen[s.ID] = true
			c.taken[s.Deployment] = append(c.taken[s.Deployment], s.Reason)
		}
	}
	if c.random.IntN(5) == 0 {
		return fault.Retriablef("the connection is lost after all")
	}
	return nil
}

// TestSignalsOfADeploymentComeInOrder writes random rows of signals, some of which the receiver
// refuses for good, and has each deployment's come in the order of writing, whatever happens.
func TestSignalsOfADeploymentComeInOrder(t *testing.T) {
	for round := range 20 {
		seed := uint64(time.Now().UnixNano()) + uint64(round)
		random := rand.New(rand.NewPCG(seed, 3))
		j, err := journal.Open(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		defer j.Close()
		outbox := signal.New(j, "node", nil, slog.New(slog.DiscardHandler))
		receiver := &capricious{random: random, seen: map[string]bool{}, taken: map[string][]string{}, refused: map[string]bool{}}
		want := map[string][]string{}
		bad := 0
		deliver := func() bool { return outbox.Flush(t.Context(), receiver) == nil }
		for n := range 40 {
			s := protocol.Signal{Deployment: fmt.Sprint("d-", random.IntN(4)), Phase: protocol.Healthy, Reason: fmt.Sprint(n)}
			if random.IntN(10) == 0 {
				s.Reason = "x" + s.Reason
				bad++
			} else {
				want[s.Deployment] = append(want[s.Deployment], s.Reason)
			}
			if err := outbox.Report(s); err != nil {
				t.Fatal(err)
			}
			if random.IntN(4) == 0 {
				deliver()
			}
		}
		for !deliver() {
		}
		for deployment, reasons := range want {
			if got := fmt.Sprint(receiver.taken[deployment]); got != fmt.Sprint(reasons) {
				t.Errorf("%s came as %s, written as %v (seed %d)", deployment, got, reasons, seed)
			}
		}
		if len(receiver.refused) != bad {
			t.Errorf("%d of %d bad ones were refused alone (seed %d)", len(receiver.refused), bad, seed)
		}
		if left, err := j.Queue(10); err != nil || len(left) > 0 {
			t.Errorf("left in the outbox: %v, %v", left, err)
		}
	}
}

func TestTextsOfAnAnswerAreCleanAndBounded(t *testing.T) {
	j, err := journal.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	outbox := signal.New(j, "node", func() []string { return []string{"the-join-token"} }, slog.New(slog.DiscardHandler))
	long := make([]byte, 1<<20)
	for i := range long {
		long[i] = 'a'
	}
	results := make([]protocol.ActionResult, protocol.MaxActionResults+50)
	for i := range results {
		results[i].Message = "the-join-token and " + string(long[:4<<10])
	}
	original := &protocol.ActionAnswer{ID: "x", Output: string(long) + "the-join-token", Results: results}
	got := outbox.Prepare(protocol.Signal{Phase: protocol.Acted, Action: original, Reason: "the-join-token" + string(long)})
	if len(got.Action.Output) > protocol.MaxActionOutput || len(got.Action.Results) > protocol.MaxActionResults || len(got.Reason) > 8<<10 {
		t.Errorf("%d bytes of output, %d results, %d bytes of reason", len(got.Action.Output), len(got.Action.Results), len(got.Reason))
	}
	text := fmt.Sprintf("%+v %+v", got, *got.Action)
	if strings.Contains(text, "the-join-token") {
		t.Error("the token leaves the node")
	}
	if !strings.Contains(original.Output, "the-join-token") {
		t.Error("the caller's own answer was changed")
	}
}
