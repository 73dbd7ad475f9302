package nodeapi

import (
	"strings"
	"testing"

	"github.com/google/uuid"

	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/controlplane/store"
)

func TestWhatANodeRefusesIsAnEventOfTheNodeAndOfNobodyElse(t *testing.T) {
	h := newHarness(t)
	cluster := h.cluster()
	a, b := h.joined(cluster, "a", store.RoleWorker), h.joined(cluster, "b", store.RoleWorker)
	h.publish(a, 1, nil)
	foreign := h.publish(b, 1, nil)
	refused := protocol.Signal{ID: uuid.NewString(), Node: a.ID, Phase: protocol.Refused, PlanDigest: "sha256:x", Reason: "plan 1 is for node b, this is node a"}
	// The node takes a foreign envelope's word for the deployment: that fails nobody's.
	failed := protocol.Signal{ID: uuid.NewString(), Node: a.ID, Phase: protocol.Failed, Deployment: foreign, Reason: "plan signature: signed by nobody"}
	unknown := protocol.Signal{ID: uuid.NewString(), Node: a.ID, Phase: protocol.Failed, Deployment: uuid.NewString(), Reason: "made up"}
	before := len(h.events(cluster))
	for range 2 { // repeating is safe
		if err := a.api.Signals(t.Context(), []protocol.Signal{refused, failed, unknown}); err != nil {
			t.Fatal(err)
		}
	}
	events := h.events(cluster)[before:]
	if len(events) != 3 {
		t.Fatalf("events:\n%s", reasons(events))
	}
	for i, want := range []string{refused.Reason, failed.Reason, unknown.Reason} {
		e := events[i]
		if e.Status != "SIGNAL_FAILED" || !strings.Contains(e.StatusReason, "the node refused what it was given: "+want) || e.PhysicalID != a.ID {
			t.Errorf("event %+v, want one of node a with %q", e, want)
		}
	}
	if signals, err := h.store.Signals(t.Context(), foreign, 0); err != nil || len(signals) != 0 {
		t.Errorf("the other node's deployment has %d signals (%v)", len(signals), err)
	}
}
