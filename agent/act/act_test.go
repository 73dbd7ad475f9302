package act_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"slipway.build/slipway/agent/act"
	"slipway.build/slipway/agent/action"
	"slipway.build/slipway/agent/journal"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/agent/signal"
	"slipway.build/slipway/agent/turn"
)

const node = "5f0c54a4-4d0c-4a3e-9d39-0d8f2a51f2aa"

// rig is a runner with a journal that outlives it, and doers that the test scripts.
type rig struct {
	t     *testing.T
	dir   string
	key   *ecdsa.PrivateKey
	keys  []protocol.PlanKey
	turn  *turn.Turn
	boot  string
	now   time.Time
	count uint64

	mu   sync.Mutex
	done []string // "<kind> <unit>" as they begin
	do   func(ctx context.Context, job act.Job) (act.Outcome, error)

	journal *journal.Journal
	runner  *act.Runner
	cancel  context.CancelFunc
	ended   chan error
}

func newRig(t *testing.T) *rig {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := plan.PublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, dir: t.TempDir(), key: key, keys: []protocol.PlanKey{public}, turn: new(turn.Turn), boot: "boot 1", now: time.Now()}
	r.do = func(context.Context, act.Job) (act.Outcome, error) { return act.Outcome{}, nil }
	r.start()
	t.Cleanup(func() { r.stop() })
	return r
}

// Do implements act.Doer.
func (r *rig) Do(ctx context.Context, job act.Job) (act.Outcome, error) {
	r.mu.Lock()
	r.done = append(r.done, strings.TrimSpace(string(job.Request.Kind)+" "+job.Request.Arguments.Unit))
	do := r.do
	r.mu.Unlock()
	return do(ctx, job)
}

func (r *rig) begun() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.done)
}

// start starts an agent on what the one before has left.
func (r *rig) start() {
	r.t.Helper()
	var err error
	if r.journal, err = journal.Open(r.dir); err != nil {
		r.t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	doers := map[action.Kind]act.Doer{}
	for _, kind := range action.Kinds() {
		if kind != action.Bundle {
			doers[kind] = r
		}
	}
	r.runner = &act.Runner{
		Node: node, Keys: func() []protocol.PlanKey { return r.keys }, Journal: r.journal,
		Reporter: signal.New(r.journal, node, nil, log), Turn: r.turn, Doers: doers,
		Boot: func() (string, error) { return r.boot, nil }, Now: func() time.Time { return r.now }, Log: log,
	}
	ctx, cancel := context.WithCancel(r.t.Context())
	r.cancel, r.ended = cancel, make(chan error, 1)
	go func(runner *act.Runner) { r.ended <- runner.Run(ctx) }(r.runner)
}

// stop ends the agent; what it is doing has no verdict.
func (r *rig) stop() {
	r.t.Helper()
	if r.cancel == nil {
		return
	}
	r.cancel()
	if err := <-r.ended; !errors.Is(err, context.Canceled) {
		r.t.Errorf("the runner ended with %v", err)
	}
	if err := r.journal.Close(); err != nil {
		r.t.Error(err)
	}
	r.cancel = nil
}

// request is the next request of that kind, which change may alter before it is signed.
func (r *rig) request(kind action.Kind, change func(*action.Request)) protocol.ActionDelivery {
	r.t.Helper()
	r.count++
	request := &action.Request{
		Schema: action.Schema, ID: uuid.NewString(), Node: node, Number: r.count, Kind: kind, Actor: "user:alice",
		Issued: r.now, Expires: r.now.Add(time.Minute),
	}
	switch kind {
	case action.Restart, action.Logs:
		request.Arguments.Unit = "slipway-a.service"
	case action.Check:
		request.Arguments.Checks = action.Checks()
	}
	if kind == action.Logs {
		request.Arguments.Lines = 10
	}
	if change != nil {
		change(request)
	}
	envelope, err := action.Seal(r.t.Context(), request, r.key)
	if err != nil {
		r.t.Fatal(err)
	}
	return protocol.ActionDelivery{Envelope: envelope}
}

func (r *rig) offer(deliveries ...protocol.ActionDelivery) { r.runner.Offer(deliveries) }

// answers are the signals in the outbox about an action, in order.
func (r *rig) answers(delivery protocol.ActionDelivery) []protocol.Signal {
	r.t.Helper()
	queued, err := r.journal.Queue(1000)
	if err != nil {
		r.t.Fatal(err)
	}
	var out []protocol.Signal
	for _, q := range queued {
		if q.Signal.Phase == protocol.Acted && q.Signal.Action.ID == action.ClaimOf(delivery.Envelope) {
			out = append(out, q.Signal)
		}
	}
	return out
}

// await waits until the last answer to an action has that status, and returns it.
func (r *rig) await(delivery protocol.ActionDelivery, status protocol.ActionStatus) protocol.Signal {
	r.t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for {
		answers := r.answers(delivery)
		if n := len(answers); n > 0 && answers[n-1].Action.Status == status {
			return answers[n-1]
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("no answer %s: %+v", status, answers)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func statuses(signals []protocol.Signal) string {
	var out []string
	for _, s := range signals {
		out = append(out, string(s.Action.Status))
	}
	return strings.Join(out, " ")
}

func TestAnActionIsDoneOnceHoweverOftenItComes(t *testing.T) {
	r := newRig(t)
	r.do = func(context.Context, act.Job) (act.Outcome, error) {
		return act.Outcome{Results: []protocol.ActionResult{{Name: "a", Status: protocol.ResultOK}}, Output: "words"}, nil
	}
	restart := r.request(action.Restart, nil)
	r.offer(restart, restart)
	r.offer(restart)
	last := r.await(restart, protocol.ActionDone)
	if got := statuses(r.answers(restart)); got != "started done" {
		t.Errorf("told %q", got)
	}
	if last.Action.Output != "words" || len(last.Action.Results) != 1 || last.Node != node || last.Deployment != "" {
		t.Errorf("told %+v", last)
	}
	r.stop()
	r.start()
	r.offer(restart) // the control plane has not heard yet
	if again := r.await(restart, protocol.ActionRefused); !strings.Contains(again.Reason, "replayed: it ended as done") {
		t.Errorf("replayed: %q", again.Reason)
	}
	if got := r.begun(); !slices.Equal(got, []string{"restart slipway-a.service"}) {
		t.Errorf("done: %v", got)
	}
}

func TestWhatMustNotBeDoneIsRefusedAndSaidSo(t *testing.T) {
	r := newRig(t)
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	mine := r.key
	r.key = other
	foreign := r.request(action.Reboot, nil)
	r.key = mine
	for _, c := range []struct {
		name     string
		delivery protocol.ActionDelivery
		status   protocol.ActionStatus
		reason   string
	}{
		{"signed by another key", foreign, protocol.ActionRefused, "signature"},
		{"for another node", r.request(action.Reboot, func(q *action.Request) { q.Node = uuid.NewString() }), protocol.ActionRefused, "it is for node"},
		{"expired", r.request(action.Reboot, func(q *action.Request) {
			q.Issued, q.Expires = r.now.Add(-time.Hour), r.now
		}), protocol.ActionExpired, "it expired at"},
		{"from the future", r.request(action.Reboot, func(q *action.Request) {
			q.Issued, q.Expires = r.now.Add(time.Hour), r.now.Add(2*time.Hour)
		}), protocol.ActionRefused, "in the future"},
		{"of a kind that this agent cannot do", r.request(action.Bundle, nil), protocol.ActionRefused, "cannot do kind bundle"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r.offer(c.delivery)
			if got := r.await(c.delivery, c.status); !strings.Contains(got.Reason, c.reason) {
				t.Errorf("refused with %q, want %q", got.Reason, c.reason)
			}
		})
	}
	// An unknown kind or argument cannot be sealed by us; signed bytes can hold them.
	for _, text := range []string{`"kind":"shell"`, `"kind":"reboot","command":"id"`} {
		id := uuid.NewString()
		payload := `{"schema":"` + action.Schema + `","id":"` + id + `",` + text + `}`
		envelope, err := plan.SealPayload(t.Context(), action.PayloadType, []byte(payload), r.key)
		if err != nil {
			t.Fatal(err)
		}
		delivery := protocol.ActionDelivery{Envelope: envelope}
		r.offer(delivery)
		if got := r.await(delivery, protocol.ActionRefused); got.Reason == "" {
			t.Error("refused without a reason")
		}
	}
	if got := r.begun(); len(got) != 0 {
		t.Errorf("done all the same: %v", got)
	}
}

func TestABogusRequestDoesNotSpoilTheRealOneOfItsID(t *testing.T) {
	r := newRig(t)
	real := r.request(action.Restart, nil)
	request, err := action.Open(t.Context(), real.Envelope, r.keys)
	if err != nil {
		t.Fatal(err)
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	envelope, err := action.Seal(t.Context(), request, other)
	if err != nil {
		t.Fatal(err)
	}
	r.offer(protocol.ActionDelivery{Envelope: envelope})
	r.await(real, protocol.ActionRefused)
	r.offer(real)
	r.await(real, protocol.ActionDone)
}

func TestAFailureCarriesItsReasonAndLog(t *testing.T) {
	r := newRig(t)
	r.do = func(context.Context, act.Job) (act.Outcome, error) {
		return act.Outcome{Log: "last words"}, errors.New("it did not come back")
	}
	restart := r.request(action.Restart, nil)
	r.offer(restart)
	if got := r.await(restart, protocol.ActionFailed); got.Reason != "it did not come back" || got.Log != "last words" {
		t.Errorf("told %+v", got)
	}
}

// TestAnAgentThatDiedInTheMiddle ends the agent while it does something, as a crash would: the
// journal has a beginning and no end.
func TestAnAgentThatDiedInTheMiddle(t *testing.T) {
	for _, c := range []struct {
		kind   action.Kind
		boot   string // of the next start
		want   protocol.ActionStatus
		times  int
		reason string
	}{
		{action.Restart, "boot 1", protocol.ActionFailed, 1, "interrupted"},
		{action.Renew, "boot 1", protocol.ActionDone, 2, ""},
		{action.Check, "boot 1", protocol.ActionDone, 2, ""},
		{action.Logs, "boot 2", protocol.ActionDone, 2, ""},
		{action.Reboot, "boot 1", protocol.ActionFailed, 1, "interrupted"},
		{action.Reboot, "boot 2", protocol.ActionDone, 1, ""},
	} {
		t.Run(string(c.kind)+" and then "+c.boot, func(t *testing.T) {
			r := newRig(t)
			middle := make(chan struct{})
			r.do = func(ctx context.Context, _ act.Job) (act.Outcome, error) {
				close(middle)
				<-ctx.Done()
				return act.Outcome{}, ctx.Err()
			}
			delivery := r.request(c.kind, nil)
			r.offer(delivery)
			<-middle
			r.stop()
			r.do = func(context.Context, act.Job) (act.Outcome, error) { return act.Outcome{}, nil }
			r.boot = c.boot
			r.start()
			if got := r.await(delivery, c.want); !strings.Contains(got.Reason, c.reason) {
				t.Errorf("told %q", got.Reason)
			}
			if got := statuses(r.answers(delivery)); got != "started "+string(c.want) {
				t.Errorf("told %q", got)
			}
			if got := len(r.begun()); got != c.times {
				t.Errorf("begun %d times, want %d", got, c.times)
			}
		})
	}
}

func TestAnActionThatKillsTheAgentIsGivenUp(t *testing.T) {
	r := newRig(t)
	begun := make(chan struct{}, 1)
	r.do = func(ctx context.Context, _ act.Job) (act.Outcome, error) {
		begun <- struct{}{}
		<-ctx.Done()
		return act.Outcome{}, ctx.Err()
	}
	check := r.request(action.Check, nil)
	r.offer(check)
	for range 3 {
		<-begun
		r.stop()
		r.start()
	}
	if got := r.await(check, protocol.ActionFailed); !strings.Contains(got.Reason, "3 times") {
		t.Errorf("told %q", got.Reason)
	}
}

func TestAnAcceptedActionIsDoneByTheNextAgentUnlessItsTimeIsUp(t *testing.T) {
	r := newRig(t)
	first := make(chan struct{})
	r.do = func(ctx context.Context, _ act.Job) (act.Outcome, error) {
		close(first)
		<-ctx.Done()
		return act.Outcome{}, ctx.Err()
	}
	blocks := r.request(action.Restart, nil)
	waits := r.request(action.Renew, nil)
	late := r.request(action.Renew, func(q *action.Request) { q.Expires = r.now.Add(time.Second) })
	r.offer(blocks)
	<-first
	r.offer(waits, late)
	for { // both are journalled
		records, _, err := r.journal.Actions()
		if err != nil {
			t.Fatal(err)
		}
		if len(records) == 3 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	r.stop()
	r.do = func(context.Context, act.Job) (act.Outcome, error) { return act.Outcome{}, nil }
	r.now = r.now.Add(2 * time.Second)
	r.start()
	r.await(waits, protocol.ActionDone)
	r.await(late, protocol.ActionExpired)
}

func TestAPlanHasTheTurnAndGoesAhead(t *testing.T) {
	r := newRig(t)
	release, _, _ := r.turn.Try("generation 7 is being applied", nil)
	restart, check := r.request(action.Restart, nil), r.request(action.Check, nil)
	r.offer(restart, check)
	if got := r.await(restart, protocol.ActionRefused); !strings.Contains(got.Reason, "generation 7 is being applied") {
		t.Errorf("refused with %q", got.Reason)
	}
	r.await(check, protocol.ActionDone) // it changes nothing
	release()
	begun := make(chan struct{})
	r.mu.Lock()
	r.do = func(ctx context.Context, _ act.Job) (act.Outcome, error) {
		close(begun)
		<-ctx.Done()
		return act.Outcome{}, context.Cause(ctx)
	}
	r.mu.Unlock()
	long := r.request(action.Restart, nil)
	r.offer(long)
	<-begun
	leave, err := r.turn.Wait(t.Context(), "generation 8 is being applied", nil)
	if err != nil {
		t.Fatal(err)
	}
	leave()
	if got := r.await(long, protocol.ActionFailed); !strings.Contains(got.Reason, "a plan goes ahead") {
		t.Errorf("failed with %q", got.Reason)
	}
}

func TestForgottenActionsAreKnownByTheirNumbers(t *testing.T) {
	r := newRig(t)
	first := r.request(action.Logs, nil)
	r.offer(first)
	r.await(first, protocol.ActionDone)
	for range 256 { // as if all of these had been done
		r.count++
		record := journal.ActionRecord{ID: uuid.NewString(), Number: r.count, Step: journal.ActionEnded, Status: protocol.ActionDone}
		if err := r.journal.PutAction(record); err != nil {
			t.Fatal(err)
		}
	}
	r.stop()
	r.start()
	r.offer(first)
	if got := r.await(first, protocol.ActionRefused); !strings.Contains(got.Reason, "replayed: number 1") {
		t.Errorf("refused with %q", got.Reason)
	}
	records, floor, err := r.journal.Actions()
	if err != nil || floor != 1 || len(records) != 256 {
		t.Errorf("%d records, floor %d, %v", len(records), floor, err)
	}
}
