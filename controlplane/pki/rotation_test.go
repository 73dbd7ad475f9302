package pki

import (
	"context"
	"crypto/x509"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/join"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/controlplane/store"
)

// node stands for what a node has learnt: an identity of the real agent.
type node struct {
	*join.Identity
	system *SystemPKI
}

// Join implements join.API by the system itself.
func (n *node) Join(_ context.Context, request protocol.JoinRequest) (*protocol.JoinResponse, error) {
	parsed, err := ParseRequest(request.CSR)
	if err != nil {
		return nil, err
	}
	certificate, err := n.system.Issue(parsed.PublicKey, Leaf{CommonName: "node:" + request.Node, Usages: clientUsage()}, n.system.Now())
	keys := n.system.Plans.Keys()
	return &protocol.JoinResponse{Certificate: certificate, PlanKeys: keys.Keys, PlanKeysNumber: keys.Number}, err
}

func joinNode(t *testing.T, system *SystemPKI) *node {
	t.Helper()
	n := &node{system: system}
	config := protocol.AgentConfig{ControlPlane: "https://x:1", Node: "5f0c54a4-4d0c-4a3e-9d39-0d8f2a51f2aa", Token: "t"}
	var err error
	if n.Identity, err = join.Join(t.Context(), filepath.Join(t.TempDir(), "identity"), config, n, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	return n
}

// believes reports whether the node takes an envelope, after what the control plane sends with it.
func (n *node) believes(t *testing.T, envelope []byte) bool {
	t.Helper()
	if err := n.LearnPlanKeys(t.Context(), n.system.Plans.Statements()); err != nil {
		t.Fatal(err)
	}
	_, _, err := plan.Open(t.Context(), envelope, n.PlanKeys())
	if err != nil && !fault.IsTerminal(err) {
		t.Fatal(err)
	}
	return err == nil
}

func samplePlan(t *testing.T, now time.Time) []byte {
	t.Helper()
	p := &plan.Plan{
		Schema: plan.Schema, Generation: 1, Deployment: "d", Lock: plan.DigestOf(nil), Deadline: plan.Duration(time.Minute), Images: []plan.Image{}, Units: []plan.Unit{}, Registries: []string{},
		Node: plan.Node{ID: "5f0c54a4-4d0c-4a3e-9d39-0d8f2a51f2aa", Name: "n", Cluster: "5f0c54a4-4d0c-4a3e-9d39-0d8f2a51f2aa", Role: "worker", Address: "10.0.0.5"},
	}
	p.Issue(now, 10*365*24*time.Hour)
	canonical, err := p.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	return canonical
}

func TestThePlanKeyIsRotatedAndEveryNodeFollows(t *testing.T) {
	var mu sync.Mutex
	now := time.Date(2026, 11, 21, 17, 0, 0, 0, time.UTC)
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	wait := func(d time.Duration) { mu.Lock(); defer mu.Unlock(); now = now.Add(d) }
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "slipway.db"), store.Options{Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	sealer := testSealer(t)
	open := func() *SystemPKI {
		t.Helper()
		system, err := OpenSystem(t.Context(), NewStoreRecords(s), sealer, clock)
		if err != nil {
			t.Fatal(err)
		}
		return system
	}
	system := open()
	tend := func(want string) {
		t.Helper()
		done, err := system.Plans.Tend(t.Context(), PlanKeyLife)
		if err != nil || (want == "") != (done == "") || !strings.HasPrefix(done, want) {
			t.Fatalf("done %q (%v), want %q", done, err, want)
		}
		system = open() // everything is in the store
	}
	attentive, away := joinNode(t, system), joinNode(t, system)
	old, err := system.Plans.Sign(t.Context(), samplePlan(t, now))
	if err != nil {
		t.Fatal(err)
	}
	first := system.Plans.PlanKey()
	tend("")
	for round := range 2 {
		wait(PlanKeyLife)
		tend("announced plan key ")
		tend("")
		attentive.system, away.system = system, system
		before := system.Plans.PlanKey()
		if len(system.Plans.Keys().Keys) != 2 {
			t.Errorf("round %d: nodes believe %d keys", round, len(system.Plans.Keys().Keys))
		}
		wait(Overlap)
		if system.Plans.PlanKey() == before {
			t.Errorf("round %d: the old key still signs", round)
		}
		fresh, err := system.Plans.Sign(t.Context(), samplePlan(t, now))
		if err != nil || !attentive.believes(t, fresh) {
			t.Errorf("round %d: the new key is not believed: %v", round, err)
		}
		wait(Overlap)
		tend("dropped the plan keys before ")
		tend("")
		attentive.system, away.system = system, system
		if len(system.Plans.Keys().Keys) != 1 || system.Plans.Keys().Keys[0] == before {
			t.Errorf("round %d: nodes believe %v", round, system.Plans.Keys().Keys)
		}
		if !attentive.believes(t, fresh) || attentive.believes(t, old) {
			t.Errorf("round %d: after the drop it must be the new key alone", round)
		}
	}
	// A plan of before is still ours, and goes out under a key of today with its digest.
	if _, err := system.Plans.Open(t.Context(), old); err != nil {
		t.Errorf("a plan of before: %v", err)
	}
	refreshed, err := system.Plans.Refresh(t.Context(), old)
	if err != nil || !attentive.believes(t, refreshed) || plan.ClaimOf(refreshed).Digest != plan.ClaimOf(old).Digest {
		t.Errorf("signed anew: %v", err)
	}
	// Who was away for both rotations follows the whole chain; who joins now needs none of it.
	if !away.believes(t, refreshed) || len(away.EveryPlanKey()) != 3 {
		t.Errorf("who was away knows %d keys", len(away.EveryPlanKey()))
	}
	if newcomer := joinNode(t, system); !newcomer.believes(t, refreshed) {
		t.Error("who joins now does not believe it")
	}
	// The private halves of the dropped keys are gone.
	keys, statements, err := NewStoreRecords(s).PlanKeys(t.Context())
	if err != nil || len(keys) != 1 || keys[0].Version != 3 || len(statements) != 4 || system.Plans.PlanKey() == first {
		t.Errorf("%d keys, %d statements, %v", len(keys), len(statements), err)
	}
}

func TestTwoReplicasAnnounceOneKey(t *testing.T) {
	now := time.Date(2026, 11, 21, 17, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "slipway.db"), store.Options{Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	sealer := testSealer(t)
	var replicas [2]*SystemPKI
	for i := range replicas {
		if replicas[i], err = OpenSystem(t.Context(), NewStoreRecords(s), sealer, clock); err != nil {
			t.Fatal(err)
		}
	}
	now = now.Add(PlanKeyLife)
	var wg sync.WaitGroup
	for _, replica := range replicas {
		wg.Go(func() { _, _ = replica.Plans.Tend(t.Context(), PlanKeyLife) }) // one of them may come second
	}
	wg.Wait()
	for i, replica := range replicas {
		if _, err := replica.Plans.Tend(t.Context(), PlanKeyLife); err != nil {
			t.Errorf("replica %d: %v", i, err)
		}
		if keys := replica.Plans.Keys(); keys.Number != 1 || len(keys.Keys) != 2 || keys.Keys[1] != replicas[0].Plans.Keys().Keys[1] {
			t.Errorf("replica %d has %+v", i, keys)
		}
	}
}

func TestAShortLifeIsNotOverWhenItBegins(t *testing.T) {
	now := time.Date(2026, 11, 21, 17, 0, 0, 0, time.UTC)
	authority, err := newSystemAuthority(now.Add(-48 * time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for life, backdated := range map[time.Duration]time.Duration{time.Minute: 6 * time.Second, 100 * time.Hour: 10 * time.Hour, 365 * 24 * time.Hour: 24 * time.Hour} {
		text, err := authority.Issue(ecKey(t).Public(), Leaf{CommonName: "x", Usages: clientUsage(), Lifetime: life}, now)
		if err != nil {
			t.Fatal(err)
		}
		leaves, err := parseCertificates(text)
		if err != nil || !leaves[0].NotBefore.Equal(now.Add(-backdated)) || !leaves[0].NotAfter.Equal(now.Add(life)) {
			t.Errorf("%s: from %s to %s (%v)", life, leaves[0].NotBefore, leaves[0].NotAfter, err)
		}
	}
}

func clientUsage() []x509.ExtKeyUsage { return []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }
