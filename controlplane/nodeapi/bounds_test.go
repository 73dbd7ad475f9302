package nodeapi

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"

	"slipway.build/slipway/agent/join"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/controlplane/store"
)

func TestWhatIsKeptOfASignalIsBounded(t *testing.T) {
	h := newHarness(t)
	n := h.joined(h.cluster(), "a", store.RoleWorker)
	deployment := h.publish(n, 1, nil)
	huge := strings.Repeat("x", 256<<10)
	signal := signalOf(n, deployment, protocol.Pulling)
	signal.Reason, signal.Log, signal.Actor, signal.PlanDigest = huge, huge, huge, huge
	signal.Progress = &protocol.Progress{BytesDone: 7, Waiting: huge}
	signal.Outputs = map[string]map[string]string{"task": {"value": huge}}
	signal.Conditions = []protocol.Condition{{Type: "DiskPressure", Message: huge}}
	signal.Action = &protocol.ActionAnswer{ID: uuid.NewString(), Output: huge}
	if err := n.api.Signals(t.Context(), []protocol.Signal{signal}); err != nil {
		t.Fatal(err)
	}
	rows, err := h.store.Signals(t.Context(), deployment, 0)
	if err != nil || len(rows) != 1 {
		t.Fatalf("%d signals: %v", len(rows), err)
	}
	var kept protocol.Signal
	if err := json.Unmarshal(rows[0].Body, &kept); err != nil {
		t.Fatal(err)
	}
	if len(rows[0].Body) > 32<<10 || kept.Outputs != nil || kept.Conditions != nil || kept.Action != nil || kept.Progress.BytesDone != 7 {
		t.Errorf("%d bytes are kept: %.200s", len(rows[0].Body), rows[0].Body)
	}
	small := signalOf(n, deployment, protocol.Healthy)
	small.Outputs = map[string]map[string]string{"task": {"member": "1"}}
	if err := n.api.Signals(t.Context(), []protocol.Signal{small}); err != nil {
		t.Fatal(err)
	}
	if rows, err = h.store.Signals(t.Context(), deployment, rows[0].Seq); err != nil || len(rows) != 1 || !strings.Contains(string(rows[0].Body), `"member":"1"`) {
		t.Errorf("what a task found out is lost: %v %v", rows, err)
	}
}

func TestANodeThatReportsWithoutEndKeepsTheNewestReports(t *testing.T) {
	h := newHarness(t)
	n := h.joined(h.cluster(), "a", store.RoleWorker)
	deployment := h.publish(n, 1, nil)
	var last string
	for range 3 {
		var batch []protocol.Signal
		for range keptReports / 2 {
			signal := signalOf(n, deployment, protocol.Staged)
			batch, last = append(batch, signal), signal.ID
		}
		if err := n.api.Signals(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := h.store.Signals(t.Context(), deployment, 0)
	if err != nil || len(rows) != keptReports || rows[len(rows)-1].ID != last {
		t.Errorf("%d signals are kept, want the newest %d: %v", len(rows), keptReports, err)
	}
}

func TestAGuesserDoesNotFillTheHistory(t *testing.T) {
	h := newHarness(t)
	cluster := h.cluster()
	n := h.node(cluster, "a", store.RoleWorker)
	for i := range maxRefusals + 5 {
		csr, err := join.Request(n.key, fmt.Sprint("guess ", i)) // the refusal quotes it
		if err != nil {
			t.Fatal(err)
		}
		_, err = h.client(nil).Join(t.Context(), protocol.JoinRequest{Node: n.ID, Token: n.token, CSR: csr})
		wantProblem(t, err, codeBadRequest, true)
	}
	if events := h.events(cluster); len(events) != maxRefusals {
		t.Errorf("%d events of refusals within a minute, want %d", len(events), maxRefusals)
	}
	other := h.node(cluster, "b", store.RoleWorker)
	if _, err := h.join(other, other.key, "wrong"); err == nil || !strings.Contains(reasons(h.events(cluster)), codeTokenInvalid) {
		t.Errorf("a refusal about another node is not told: %v", err)
	}
}
