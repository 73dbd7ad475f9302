package nodeapi

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/controlplane/store"
)

func TestAPlanIsIssuedAnewOnlyForANodeThatHasNotTakenItUp(t *testing.T) {
	const life = time.Hour // of the harness' plans
	h := newHarness(t)
	cluster, nodes := h.cluster(), 0
	for name, c := range map[string]struct {
		later  time.Duration  // when the node asks
		told   protocol.Phase // what the node has said of the plan before, if anything
		has    bool           // the node asks with the plan's ETag
		issued uint64         // the generation that counts afterwards
	}{
		"in time":                                {later: life / 2, issued: 1},
		"near its end":                           {later: life - life/endOfLife + time.Second, issued: 2},
		"after its end":                          {later: 3 * life, issued: 2},
		"after its end, taken up before":         {later: 2 * life, told: protocol.Joined, issued: 1},
		"after its end, healthy on it":           {later: 2 * life, told: protocol.Healthy, issued: 1},
		"after its end, refused before":          {later: 2 * life, told: protocol.Failed, issued: 1},
		"after its end, by one that has it":      {later: 2 * life, has: true, issued: 1},
		"near its end, by one that has taken it": {later: life - time.Second, told: protocol.Switched, has: true, issued: 1},
	} {
		t.Run(name, func(t *testing.T) {
			nodes++
			n := h.joined(cluster, fmt.Sprintf("n-%d", nodes), store.RoleWorker)
			deployment := h.publish(n, 1, nil)
			first, err := h.store.CurrentPlan(t.Context(), n.ID)
			if err != nil {
				t.Fatal(err)
			}
			if c.told != "" {
				signal := signalOf(n, deployment, c.told)
				signal.PlanDigest = first.Digest
				if err := n.api.Signals(t.Context(), []protocol.Signal{signal}); err != nil {
					t.Fatal(err)
				}
			}
			h.clock.add(c.later)
			etag := ""
			if c.has {
				etag = `"` + first.Digest + `"`
			}
			delivery, tag, err := n.api.Plan(t.Context(), etag, 0)
			if err != nil {
				t.Fatal(err)
			}
			now, err := h.store.CurrentPlan(t.Context(), n.ID)
			if err != nil || now.Generation != c.issued {
				t.Fatalf("generation %d counts now (%v), want %d", now.Generation, err, c.issued)
			}
			if c.has != (delivery == nil) {
				t.Fatalf("delivered: %v", delivery != nil)
			}
			if delivery == nil {
				return
			}
			got, _, err := plan.Open(t.Context(), delivery.Envelope, h.system.Plans.Keys().Keys)
			if err != nil || got.Generation != c.issued || tag != `"`+now.Digest+`"` {
				t.Errorf("delivered %+v as %s: %v", got, tag, err)
			}
		})
	}
}

func TestAPlanThatIsIssuedAnewHasTheSameContentAndDeployment(t *testing.T) {
	h := newHarness(t)
	cluster := h.cluster()
	n := h.joined(cluster, "a", store.RoleWorker)
	deployment := h.publish(n, 7, nil)
	first, err := h.store.CurrentPlan(t.Context(), n.ID)
	if err != nil {
		t.Fatal(err)
	}
	h.clock.add(24 * time.Hour)
	var tags []string
	for range 2 { // asking again issues nothing more
		delivery, tag, err := n.api.Plan(t.Context(), "", 0)
		if err != nil || delivery == nil {
			t.Fatalf("%+v %v", delivery, err)
		}
		tags = append(tags, tag)
	}
	second, err := h.store.CurrentPlan(t.Context(), n.ID)
	if err != nil || second.Generation != 8 || second.Deployment != deployment || tags[0] != tags[1] {
		t.Fatalf("%+v %v, as %v", second, err, tags)
	}
	before, err := h.system.Plans.Open(t.Context(), first.Envelope)
	if err != nil {
		t.Fatal(err)
	}
	after, err := h.system.Plans.Open(t.Context(), second.Envelope)
	if err != nil {
		t.Fatal(err)
	}
	if after.Expires.Sub(after.Issued) != before.Expires.Sub(before.Issued) || after.Expires.Before(h.clock.now()) {
		t.Errorf("it may be applied from %s to %s", after.Issued, after.Expires)
	}
	after.Generation, after.Issued, after.Expires = before.Generation, before.Issued, before.Expires
	if digest, err := after.Digest(); err != nil || digest != first.Digest {
		t.Errorf("the content differs: %v", err)
	}
	want := "SIGNAL_IN_PROGRESS Plan 7 of node a could be applied until " + before.Expires.Format(time.RFC3339) + " only: issued anew as plan 8"
	if history := reasons(h.events(cluster)); strings.Count(history, want) != 1 {
		t.Errorf("the history does not tell once:\n%s", history)
	}
	// What it says of the new plan belongs to the deployment.
	signal := signalOf(n, deployment, protocol.Healthy)
	signal.PlanDigest = second.Digest
	if err := n.api.Signals(t.Context(), []protocol.Signal{signal}); err != nil {
		t.Error(err)
	}
	h.clock.add(24 * time.Hour)
	if _, _, err := n.api.Plan(t.Context(), "", 0); err != nil {
		t.Fatal(err)
	}
	if now, err := h.store.CurrentPlan(t.Context(), n.ID); err != nil || now.Generation != 8 {
		t.Errorf("it is issued anew under a node that runs it: %d %v", now.Generation, err)
	}
}

func TestAPlanThatIsNotOursIsNotIssuedAnew(t *testing.T) {
	h := newHarness(t)
	n := h.joined(h.cluster(), "a", store.RoleWorker)
	h.tx(func(ctx context.Context, tx *store.Tx) error {
		return tx.InsertPlan(ctx, &store.Plan{NodeID: n.ID, Generation: 1, Deployment: "d", Digest: "sha256:0", Envelope: []byte("{}")})
	})
	if delivery, _, err := n.api.Plan(t.Context(), "", 0); err != nil || string(delivery.Envelope) != "{}" {
		t.Errorf("%+v %v", delivery, err)
	}
}

func TestALockIsDeliveredAfterNewerOnesWereMade(t *testing.T) {
	h := newHarness(t)
	h.server.Locks = StoreLocks{Store: h.store, Statements: func() []protocol.Signed { return nil }}
	n := h.joined(h.cluster(), "a", store.RoleWorker)
	h.publish(n, 1, nil)
	if _, _, err := n.api.Plan(t.Context(), "", 0); err == nil {
		t.Error("delivered without the lock that it names")
	}
	h.tx(func(ctx context.Context, tx *store.Tx) error {
		for _, signature := range []string{"first", "second"} { // the key that signs locks was rotated
			if err := tx.KeepLock(ctx, &store.Lock{Digest: plan.DigestOf(testLock), Canonical: testLock, Signature: []byte(signature)}); err != nil {
				return err
			}
		}
		return tx.KeepLock(ctx, &store.Lock{Digest: "sha256:newer", Canonical: []byte("newer"), Signature: []byte("third")})
	})
	delivery, _, err := n.api.Plan(t.Context(), "", 0)
	if err != nil || string(delivery.LockBytes) != string(testLock) || string(delivery.LockSignature) != "second" {
		t.Errorf("%+v %v", delivery, err)
	}
}
