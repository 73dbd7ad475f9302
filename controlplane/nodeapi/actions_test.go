package nodeapi

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"slipway.build/slipway/agent/action"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/controlplane/actions"
	"slipway.build/slipway/controlplane/fault"
	"slipway.build/slipway/controlplane/store"
)

// ask has the desk take an order for the node.
func (h *harness) ask(n *testNode, kind action.Kind, arguments action.Arguments) *store.Action {
	h.t.Helper()
	row, err := h.server.Actions.Request(h.t.Context(), n.Node, actions.Order{Kind: kind, Arguments: arguments, Actor: "user:alice", Life: time.Minute})
	if err != nil {
		h.t.Fatal(err)
	}
	return row
}

func (h *harness) action(id string) *store.Action {
	h.t.Helper()
	row, err := h.store.Action(h.t.Context(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	return row
}

func answer(n *testNode, id string, status protocol.ActionStatus) protocol.Signal {
	s := signalOf(n, "", protocol.Acted)
	s.Action = &protocol.ActionAnswer{ID: id, Status: status}
	return s
}

// told are the events about an action, "<status> <actor> <rest>".
func (h *harness) told(cluster, id string) string {
	h.t.Helper()
	var lines []string
	for _, e := range h.events(cluster) {
		if _, rest, ok := strings.Cut(e.StatusReason, " ("+id+") for user:alice "); ok {
			lines = append(lines, strings.TrimPrefix(e.Status, "SIGNAL_")+" "+e.Actor+" "+rest)
		}
	}
	return strings.Join(lines, "\n")
}

func TestAnActionComesThroughTheLongPollBesideThePlan(t *testing.T) {
	h := newHarness(t)
	cluster := h.cluster()
	n := h.joined(cluster, "a", store.RoleWorker)
	h.publish(n, 1, nil)
	first, etag, err := n.api.Plan(t.Context(), "", 0)
	if err != nil || len(first.Envelope) == 0 || len(first.Actions) != 0 {
		t.Fatalf("%+v, %v", first, err)
	}
	type result struct {
		delivery *protocol.Delivery
		etag     string
		err      error
	}
	polled := make(chan result, 1)
	go func() {
		d, e, err := n.api.Plan(t.Context(), etag, time.Minute)
		polled <- result{d, e, err}
	}()
	reboot := h.ask(n, action.Reboot, action.Arguments{})
	second := <-polled
	if second.err != nil || second.delivery == nil || len(second.delivery.Actions) != 1 || len(second.delivery.Envelope) != 0 {
		t.Fatalf("%+v", second)
	}
	request, err := action.Open(t.Context(), second.delivery.Actions[0].Envelope, []protocol.PlanKey{h.system.Plans.PlanKey()})
	if err != nil || request.ID != reboot.ID || request.Node != n.ID || request.Number != 1 || request.Actor != "user:alice" {
		t.Errorf("%+v, %v", request, err)
	}
	if h.action(reboot.ID).State != store.ActionDelivered {
		t.Errorf("state %s", h.action(reboot.ID).State)
	}
	if again, _, err := n.api.Plan(t.Context(), second.etag, 0); err != nil || again != nil {
		t.Errorf("delivered again to who has it: %+v, %v", again, err)
	}
	// An agent that begins anew gets the plan and what it has not begun.
	if anew, _, err := n.api.Plan(t.Context(), "", 0); err != nil || len(anew.Actions) != 1 || len(anew.Envelope) == 0 {
		t.Errorf("to a new agent: %+v, %v", anew, err)
	}
	if err := n.api.Signals(t.Context(), []protocol.Signal{answer(n, reboot.ID, protocol.ActionStarted)}); err != nil {
		t.Fatal(err)
	}
	if begun, _, err := n.api.Plan(t.Context(), "", 0); err != nil || len(begun.Actions) != 0 {
		t.Errorf("what has begun is delivered again: %+v, %v", begun, err)
	}
	h.publish(n, 2, nil)
	third, _, err := n.api.Plan(t.Context(), second.etag, 0)
	if err != nil || third == nil || len(third.Envelope) == 0 {
		t.Errorf("the next plan: %+v, %v", third, err)
	}
}

func TestANodeWithoutAPlanGetsItsActionsToo(t *testing.T) {
	h := newHarness(t)
	n := h.joined(h.cluster(), "a", store.RoleWorker)
	h.ask(n, action.Check, action.Arguments{Checks: []action.CheckName{action.CheckDisk}})
	got, etag, err := n.api.Plan(t.Context(), "", 0)
	if err != nil || got == nil || len(got.Envelope) != 0 || len(got.Actions) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	if again, _, err := n.api.Plan(t.Context(), etag, 0); err != nil || again != nil {
		t.Errorf("again: %+v, %v", again, err)
	}
}

func TestAPullComesWithItsLock(t *testing.T) {
	h := newHarness(t)
	n := h.joined(h.cluster(), "a", store.RoleWorker)
	h.ask(n, action.Pull, action.Arguments{
		Images: []action.Image{{Name: "etcd", Repository: "slipway/etcd", Digest: plan.DigestOf([]byte("x"))}},
		Lock:   plan.DigestOf(testLock), Registries: []string{"http://registry.example:5000"},
	})
	got, _, err := n.api.Plan(t.Context(), "", 0)
	if err != nil || len(got.Actions) != 1 || !bytes.Equal(got.Actions[0].LockBytes, testLock) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestTheHistoryTellsEachStateOfAnActionOnce(t *testing.T) {
	h := newHarness(t)
	cluster := h.cluster()
	n := h.joined(cluster, "a", store.RoleWorker)
	row := h.ask(n, action.Restart, action.Arguments{Unit: "slipway-kubelet.service"})
	if _, _, err := n.api.Plan(t.Context(), "", 0); err != nil {
		t.Fatal(err)
	}
	started, done := answer(n, row.ID, protocol.ActionStarted), answer(n, row.ID, protocol.ActionDone)
	progress := answer(n, row.ID, protocol.ActionStarted)
	progress.Progress = &protocol.Progress{BytesDone: 1, BytesTotal: 2}
	done.Action.Results = []protocol.ActionResult{{Name: "slipway-kubelet.service", Status: protocol.ResultOK, Message: "it runs"}}
	for _, s := range []protocol.Signal{started, started, progress, done, done, progress, started, answer(n, row.ID, protocol.ActionFailed)} {
		if err := n.api.Signals(t.Context(), []protocol.Signal{s}); err != nil {
			t.Fatal(err)
		}
	}
	want := strings.Join([]string{
		"IN_PROGRESS user:alice requested, to be begun before " + row.ExpiresAt.Format(time.RFC3339),
		"IN_PROGRESS node:a delivered", "IN_PROGRESS node:a started", "COMPLETE node:a done",
	}, "\n")
	if got := h.told(cluster, row.ID); got != want {
		t.Errorf("told:\n%s\nwant:\n%s", got, want)
	}
	if now := h.action(row.ID); now.State != store.ActionDone || !strings.Contains(string(now.Answer), "it runs") || now.EndedAt.IsZero() {
		t.Errorf("%+v", now)
	}
	replayed := answer(n, row.ID, protocol.ActionRefused)
	replayed.Reason = "replayed: it ended"
	if err := n.api.Signals(t.Context(), []protocol.Signal{replayed}); err != nil {
		t.Fatal(err)
	}
	if got := h.told(cluster, row.ID); !strings.HasSuffix(got, "FAILED node:a delivered once more and refused: replayed: it ended") || h.action(row.ID).State != store.ActionDone {
		t.Errorf("after a replay: %s", got)
	}
}

func TestAnActionNotBegunInTimeExpiresAndALateAnswerStillCounts(t *testing.T) {
	h := newHarness(t)
	cluster := h.cluster()
	n := h.joined(cluster, "a", store.RoleWorker)
	row := h.ask(n, action.Reboot, action.Arguments{})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.server.Actions.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	changed := h.store.Subscribe(store.ActionTopic(row.ID))
	defer changed.Close()
	h.clock.add(time.Minute)
	if late, _, err := n.api.Plan(t.Context(), "", 0); err != nil || late != nil {
		t.Errorf("delivered after its time: %+v, %v", late, err)
	}
	other := h.ask(n, action.Reboot, action.Arguments{}) // wakes the desk, whose timer goes by the real clock
	<-changed.C
	if now := h.action(row.ID); now.State != store.ActionExpired || !strings.Contains(now.Reason, "did not ask") {
		t.Errorf("%+v", now)
	}
	if got := h.told(cluster, row.ID); !strings.Contains(got, "FAILED slipwayd expired: the node did not ask") {
		t.Errorf("told %s", got)
	}
	if now := h.action(other.ID); now.State != store.ActionRequested {
		t.Errorf("the other is %s", now.State)
	}
	if err := n.api.Signals(t.Context(), []protocol.Signal{answer(n, row.ID, protocol.ActionStarted), answer(n, row.ID, protocol.ActionDone)}); err != nil {
		t.Fatal(err)
	}
	if now := h.action(row.ID); now.State != store.ActionDone || now.Reason != "" {
		t.Errorf("%+v", now)
	}
}

func TestOrdersThatANodeCannotHaveAreRefused(t *testing.T) {
	h := newHarness(t)
	cluster := h.cluster()
	n, absent := h.joined(cluster, "a", store.RoleWorker), h.node(cluster, "b", store.RoleWorker)
	desk := h.server.Actions
	if _, err := desk.Request(t.Context(), absent.Node, actions.Order{Kind: action.Reboot, Actor: "user:alice"}); fault.KindOf(err) != fault.Conflict {
		t.Errorf("a node that has not joined: %v", err)
	}
	for name, order := range map[string]actions.Order{
		"unknown kind":     {Kind: "shell", Actor: "user:alice"},
		"foreign argument": {Kind: action.Reboot, Arguments: action.Arguments{Unit: "slipway-a.service"}, Actor: "user:alice"},
		"no argument":      {Kind: action.Restart, Actor: "user:alice"},
		"too long a life":  {Kind: action.Reboot, Actor: "user:alice", Life: 25 * time.Hour},
		"no actor":         {Kind: action.Reboot},
	} {
		if _, err := desk.Request(t.Context(), n.Node, order); fault.KindOf(err) != fault.Terminal {
			t.Errorf("%s: %v", name, err)
		}
	}
	for range 32 {
		h.ask(n, action.Reboot, action.Arguments{})
	}
	if _, err := desk.Request(t.Context(), n.Node, actions.Order{Kind: action.Reboot, Actor: "user:alice"}); fault.KindOf(err) != fault.Conflict {
		t.Errorf("one too many: %v", err)
	}
}

func TestANodeAnswersForItsOwnActionsAlone(t *testing.T) {
	h := newHarness(t)
	cluster := h.cluster()
	n, other := h.joined(cluster, "a", store.RoleWorker), h.joined(cluster, "b", store.RoleWorker)
	row := h.ask(n, action.Reboot, action.Arguments{})
	wantProblem(t, other.api.Signals(t.Context(), []protocol.Signal{answer(other, row.ID, protocol.ActionDone)}), codeForeignNode, true)
	wantProblem(t, n.api.Signals(t.Context(), []protocol.Signal{answer(n, uuid.NewString(), protocol.ActionDone)}), codeForeignNode, true)
	// A refusal is taken, once, as something for the history.
	refusal := answer(other, row.ID, protocol.ActionRefused)
	refusal.Reason = "it is for another node"
	for range 2 {
		if err := other.api.Signals(t.Context(), []protocol.Signal{refusal}); err != nil {
			t.Fatal(err)
		}
	}
	count := 0
	for _, e := range h.events(cluster) {
		if strings.Contains(e.StatusReason, "which is none of node b, was refused by it: it is for another node") {
			count++
		}
	}
	if count != 1 || h.action(row.ID).State != store.ActionRequested {
		t.Errorf("%d events, state %s", count, h.action(row.ID).State)
	}
	bad := map[string]protocol.Signal{
		"no action": signalOf(n, "", protocol.Acted), "a deployment": answer(n, row.ID, protocol.ActionDone),
		"an id of another form": answer(n, "x", protocol.ActionDone), "a status that is none": answer(n, row.ID, "half"),
		"a result that is none": answer(n, row.ID, protocol.ActionDone), "too many results": answer(n, row.ID, protocol.ActionDone),
	}
	withDeployment := bad["a deployment"]
	withDeployment.Deployment = "d"
	bad["a deployment"] = withDeployment
	bad["a result that is none"].Action.Results = []protocol.ActionResult{{Status: "fine"}}
	bad["too many results"].Action.Results = make([]protocol.ActionResult, protocol.MaxActionResults+1)
	for name, s := range bad {
		t.Run(name, func(t *testing.T) {
			wantProblem(t, n.api.Signals(t.Context(), []protocol.Signal{s}), codeBadRequest, true)
		})
	}
	if h.action(row.ID).State != store.ActionRequested {
		t.Error("a bad answer has changed the action")
	}
	long := answer(n, row.ID, protocol.ActionDone)
	long.Action.Output = strings.Repeat("é", protocol.MaxActionOutput)
	if err := n.api.Signals(t.Context(), []protocol.Signal{long}); err != nil {
		t.Fatal(err)
	}
	if size := len(h.action(row.ID).Answer); size > protocol.MaxActionOutput+4<<10 {
		t.Errorf("an answer of %d bytes is kept", size)
	}
}

func TestArchivesAreTakenForTheirActionAlone(t *testing.T) {
	h := newHarness(t)
	cluster := h.cluster()
	n, other := h.joined(cluster, "a", store.RoleWorker), h.joined(cluster, "b", store.RoleWorker)
	bundle, reboot := h.ask(n, action.Bundle, action.Arguments{}), h.ask(n, action.Reboot, action.Arguments{})
	content := bytes.Repeat([]byte("archive"), 1<<16)
	send := func(node *testNode, id string, size int64, body io.Reader) error {
		return node.api.Archive(t.Context(), id, size, body)
	}
	for range 2 {
		if err := send(n, bundle.ID, int64(len(content)), bytes.NewReader(content)); err != nil {
			t.Fatal(err)
		}
	}
	row := h.action(bundle.ID)
	file, err := h.server.Actions.Archives.Open(row)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if got, err := io.ReadAll(file); err != nil || !bytes.Equal(got, content) || row.ArchiveSize != int64(len(content)) || len(row.ArchiveSHA256) != 64 {
		t.Errorf("%d bytes, %+v, %v", len(got), row, err)
	}
	wantProblem(t, send(other, bundle.ID, 1, strings.NewReader("x")), codeForeignNode, true)
	wantProblem(t, send(n, reboot.ID, 1, strings.NewReader("x")), codeForeignNode, true)
	wantProblem(t, send(n, "../../x", 1, strings.NewReader("x")), codeForeignNode, true)
	wantProblem(t, send(n, bundle.ID, protocol.MaxArchive+1, io.LimitReader(zeros{}, protocol.MaxArchive+1)), codeTooLarge, true)
	if err := send(n, bundle.ID, -1, io.LimitReader(zeros{}, protocol.MaxArchive+1)); err == nil {
		t.Error("a body without a length has no bound")
	}
	broken := errors.New("broken")
	if err := send(n, bundle.ID, 100, io.MultiReader(strings.NewReader("x"), failing{broken})); err == nil {
		t.Error("half an archive is taken")
	}
	if now := h.action(bundle.ID); now.ArchiveSHA256 != row.ArchiveSHA256 {
		t.Error("a refused archive has taken the place of the good one")
	}
	if err := n.api.Signals(t.Context(), []protocol.Signal{answer(n, bundle.ID, protocol.ActionDone)}); err != nil {
		t.Fatal(err)
	}
	wantProblem(t, send(n, bundle.ID, 1, strings.NewReader("x")), codeActionEnded, true)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
