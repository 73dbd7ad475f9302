package nodeapi

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/controlplane/store"
)

func observation(n *testNode, conditions ...protocol.Condition) protocol.Signal {
	s := signalOf(n, "", protocol.Observed)
	s.Conditions = conditions
	return s
}

func condition(kind, status string) protocol.Condition {
	return protocol.Condition{Type: kind, Status: status, Reason: "Tested", Message: "because of a test", Since: time.Now()}
}

func TestConditionsAreKeptAndOnlyChangesOfStatusAreNews(t *testing.T) {
	h := newHarness(t)
	cluster := h.cluster()
	n := h.joined(cluster, "a", store.RoleWorker)
	news := func() string {
		var lines []string
		for _, e := range h.events(cluster) {
			if text, ok := strings.CutPrefix(e.StatusReason, "Condition "); ok && e.Actor == "node:a" {
				lines = append(lines, text)
			}
		}
		return strings.Join(lines, "\n")
	}
	send := func(s protocol.Signal) {
		t.Helper()
		if err := n.api.Signals(t.Context(), []protocol.Signal{s}); err != nil {
			t.Fatal(err)
		}
	}
	send(observation(n, condition("DiskPressure", "False"), condition("ClockSkew", "True")))
	if got, want := news(), "ClockSkew of node a is True (Tested): because of a test"; got != want {
		t.Errorf("the first observation told %q, want %q", got, want)
	}
	trouble := observation(n, condition("DiskPressure", "True"), condition("ClockSkew", "True"))
	send(trouble)
	send(trouble)
	send(observation(n, condition("DiskPressure", "True")))
	if got := strings.Split(news(), "\n"); len(got) != 3 || !strings.HasPrefix(got[1], "DiskPressure of node a is True") || !strings.HasPrefix(got[2], "ClockSkew of node a is Unknown (NotObserved)") {
		t.Errorf("told %q", got)
	}
	// One that is sent again late does not bring back what was.
	send(trouble)
	kept, err := h.store.Conditions(t.Context(), n.ID)
	if err != nil || len(kept) != 1 || kept[0].Type != "DiskPressure" || kept[0].Status != "True" || kept[0].Message != "because of a test" {
		t.Errorf("kept %+v, %v", kept, err)
	}
	if _, found, err := LastReport(t.Context(), h.store, cluster, n.ID); found || err != nil {
		t.Errorf("an observation is no report about a deployment: %v, %v", found, err)
	}
}

func TestOldObservationsAreDropped(t *testing.T) {
	h := newHarness(t)
	n := h.joined(h.cluster(), "a", store.RoleWorker)
	for range 3 {
		var batch []protocol.Signal
		for range keptObservations {
			batch = append(batch, observation(n, condition("DiskPressure", "False")))
		}
		if err := n.api.Signals(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := h.store.NodeSignals(t.Context(), n.ID, 1000)
	if err != nil || len(kept) != keptObservations {
		t.Errorf("%d observations are kept, %v", len(kept), err)
	}
}

func TestBadConditionsChangeNothing(t *testing.T) {
	h := newHarness(t)
	cluster := h.cluster()
	n := h.joined(cluster, "a", store.RoleWorker)
	before := len(h.events(cluster))
	many := make([]protocol.Condition, maxConditions+1)
	for i := range many {
		many[i] = condition("C"+strings.Repeat("x", i%60)+"Y", "True")
	}
	for name, s := range map[string]protocol.Signal{
		"a deployment":             {ID: uuid.NewString(), Node: n.ID, Deployment: "d", Phase: protocol.Observed, Time: time.Now()},
		"no time":                  {ID: uuid.NewString(), Node: n.ID, Phase: protocol.Observed},
		"too many":                 observation(n, many...),
		"a type of another form":   observation(n, condition("disk pressure", "True")),
		"an endless type":          observation(n, condition(strings.Repeat("A", 65), "True")),
		"a status that is none":    observation(n, condition("DiskPressure", "Maybe")),
		"a type twice":             observation(n, condition("DiskPressure", "True"), condition("DiskPressure", "False")),
		"a reason of another form": observation(n, protocol.Condition{Type: "DiskPressure", Status: "True", Reason: "too full"}),
	} {
		t.Run(name, func(t *testing.T) {
			wantProblem(t, n.api.Signals(t.Context(), []protocol.Signal{observation(n, condition("ClockSkew", "True")), s}), codeBadRequest, true)
		})
	}
	if kept, err := h.store.Conditions(t.Context(), n.ID); err != nil || len(kept) != 0 || len(h.events(cluster)) != before {
		t.Errorf("left %v, %v", kept, err)
	}
	if err := n.api.Signals(t.Context(), []protocol.Signal{observation(n, protocol.Condition{Type: "Drift", Status: "True", Message: strings.Repeat("x", 1<<16)})}); err != nil {
		t.Fatal(err)
	}
	if kept, _ := h.store.Conditions(t.Context(), n.ID); len(kept) != 1 || len(kept[0].Message) > maxConditionMessage+4 {
		t.Error("a long message is not cut")
	}
}
