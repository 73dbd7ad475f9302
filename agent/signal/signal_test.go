package signal_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/journal"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/agent/signal"
)

// receiver is a control plane that may fail.
type receiver struct {
	mu   sync.Mutex
	got  []protocol.Signal
	fail func(signals []protocol.Signal) error
}

func (r *receiver) Signals(_ context.Context, signals []protocol.Signal) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil {
		if err := r.fail(signals); err != nil {
			return err
		}
	}
	r.got = append(r.got, signals...)
	return nil
}

func (r *receiver) phases() []protocol.Phase {
	r.mu.Lock()
	defer r.mu.Unlock()
	var phases []protocol.Phase
	for _, s := range r.got {
		phases = append(phases, s.Phase)
	}
	return phases
}

func open(t *testing.T, dir string) *journal.Journal {
	t.Helper()
	j, err := journal.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func TestSignalsSurviveADeathBeforeTheyAreSent(t *testing.T) {
	dir := t.TempDir()
	j := open(t, dir)
	outbox := signal.New(j, "node", nil, slog.New(slog.DiscardHandler))
	for _, phase := range []protocol.Phase{protocol.Staged, protocol.Switched} {
		if err := outbox.Report(protocol.Signal{Deployment: "d", Phase: phase}); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = open(t, dir)
	defer func() { _ = j.Close() }()
	outbox = signal.New(j, "node", nil, slog.New(slog.DiscardHandler))
	r := &receiver{}
	lost := true
	r.fail = func(signals []protocol.Signal) error {
		if lost {
			lost = false
			r.got = append(r.got, signals...) // it arrived, and the answer was lost
			return fault.Retriablef("connection reset")
		}
		return nil
	}
	if err := outbox.Flush(t.Context(), r); err == nil {
		t.Fatal("a lost answer is no success")
	}
	if err := outbox.Flush(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if len(r.got) != 4 || r.got[0].ID != r.got[2].ID || r.got[1].ID != r.got[3].ID {
		t.Errorf("repeats have other ids: %+v", r.got)
	}
	r.got = nil
	if err := outbox.Flush(t.Context(), r); err != nil || len(r.got) != 0 {
		t.Errorf("accepted signals were sent again: %v %v", r.got, err)
	}
}

func TestASignalThatIsRefusedForGoodDoesNotBlockTheOthers(t *testing.T) {
	j := open(t, t.TempDir())
	defer func() { _ = j.Close() }()
	outbox := signal.New(j, "node", nil, slog.New(slog.DiscardHandler))
	for _, phase := range []protocol.Phase{protocol.Staged, protocol.Switched, protocol.Healthy} {
		if err := outbox.Report(protocol.Signal{Deployment: "d", Phase: phase}); err != nil {
			t.Fatal(err)
		}
	}
	r := &receiver{fail: func(signals []protocol.Signal) error {
		if slices.ContainsFunc(signals, func(s protocol.Signal) bool { return s.Phase == protocol.Switched }) {
			return fault.Terminalf("unknown deployment")
		}
		return nil
	}}
	if err := outbox.Flush(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if want := []protocol.Phase{protocol.Staged, protocol.Healthy}; !slices.Equal(r.phases(), want) {
		t.Errorf("received %v, want %v", r.phases(), want)
	}
}

func TestSignalsLeaveRedactedAndBounded(t *testing.T) {
	j := open(t, t.TempDir())
	defer func() { _ = j.Close() }()
	outbox := signal.New(j, "node", func() []string { return []string{"the-join-token"} }, slog.New(slog.DiscardHandler))
	err := outbox.Report(protocol.Signal{Phase: protocol.Failed, Reason: "the-join-token was refused", Log: strings.Repeat("x", 20000) + " password=hunter2 end",
		Outputs: map[string]map[string]string{"snapshot": {"said": "the-join-token " + strings.Repeat("y", 20000) + " password=hunter2 end"}}})
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{}
	if err := outbox.Flush(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	got := r.got[0]
	if strings.Contains(got.Reason, "the-join-token") || strings.Contains(got.Log, "hunter2") || len(got.Log) > 8<<10 || !strings.HasSuffix(got.Log, "end") {
		t.Errorf("left as %q, log of %d bytes", got.Reason, len(got.Log))
	}
	if said := got.Outputs["snapshot"]["said"]; strings.Contains(said, "the-join-token") || strings.Contains(said, "hunter2") || len(said) > 1<<10 || !strings.HasSuffix(said, "end") {
		t.Errorf("an output left as %q", said)
	}
	if err := outbox.Observe([]protocol.Condition{{Type: "Odd", Message: strings.Repeat("z", 20000) + " the-join-token end"}}); err != nil {
		t.Fatal(err)
	}
	if err := outbox.Flush(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if said := r.got[1].Conditions[0].Message; strings.Contains(said, "the-join-token") || len(said) > 8<<10 || !strings.HasSuffix(said, "end") {
		t.Errorf("a condition left as %q", said)
	}
}

func TestProgressIsCoalescedToOneASecond(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		j := open(t, dir)
		defer func() { _ = j.Close() }()
		outbox := signal.New(j, "node", nil, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		r := &receiver{}
		done := make(chan error, 1)
		go func() { done <- outbox.Run(ctx, r) }()
		for i := range 3000 { // three seconds of news
			outbox.Progress(protocol.Signal{Deployment: "d", Phase: protocol.Pulling, Progress: &protocol.Progress{BytesDone: int64(i)}})
			time.Sleep(time.Millisecond)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := len(r.phases()); n < 3 || n > 5 {
			t.Errorf("%d reports in three seconds", n)
		}
		if last := r.got[len(r.got)-1].Progress.BytesDone; last != 2999 {
			t.Errorf("the last report is of %d, want the latest", last)
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}
