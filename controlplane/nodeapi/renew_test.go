package nodeapi

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/join"
	agentapi "slipway.build/slipway/agent/nodeapi"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/controlplane/store"
)

// agent is the real agent's side of a node, on the harness' clock.
type agent struct {
	*join.Identity
	api, bare *agentapi.Client
	rejected  int
}

func (h *harness) agent(n *testNode) *agent {
	h.t.Helper()
	a := &agent{}
	clock := agentapi.WithClock(h.clock.now, func() time.Time { return time.Time{} })
	var err error
	if a.bare, err = agentapi.New(h.url, h.system.PEM(), nil, clock); err != nil {
		h.t.Fatal(err)
	}
	config := protocol.AgentConfig{ControlPlane: h.url, CA: h.system.PEM(), Node: n.ID, Token: n.token}
	if a.Identity, err = join.Join(h.t.Context(), filepath.Join(h.t.TempDir(), "identity"), config, a.bare, slog.New(slog.DiscardHandler)); err != nil {
		h.t.Fatal(err)
	}
	if a.api, err = agentapi.New(h.url, h.system.PEM(), a.Certificate, clock, agentapi.OnRejected(func() { a.rejected++ })); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(a.api.Close)
	h.t.Cleanup(a.bare.Close)
	return a
}

func TestANodeThatWasOffUntilAllHadExpiredComesBack(t *testing.T) {
	h := newHarness(t)
	h.system.NodeLife = 30 * 24 * time.Hour
	cluster := h.cluster()
	n := h.node(cluster, "a", store.RoleWorker)
	a := h.agent(n)
	h.publish(n, 1, nil)
	if delivery, _, err := a.api.Plan(t.Context(), "", 0); err != nil || delivery == nil {
		t.Fatalf("while all is good: %v", err)
	}
	before := a.Leaf()
	h.clock.add(400 * 24 * time.Hour) // the node's certificate, the node API's and the token have expired
	a.api.Reconnect()
	if _, _, err := a.api.Plan(t.Context(), "", 0); err == nil || fault.IsTerminal(err) {
		t.Fatalf("an expired certificate was taken, or refused for good: %v", err)
	}
	if err := a.Renew(t.Context(), a.bare); err != nil {
		t.Fatal(err)
	}
	a.api.Reconnect()
	delivery, _, err := a.api.Plan(t.Context(), "", 0)
	if err != nil || delivery == nil {
		t.Fatalf("after it came back: %v", err)
	}
	after := a.Leaf()
	if !after.NotAfter.After(h.clock.now()) || after.NotAfter.After(h.clock.now().Add(h.system.NodeLife)) || !a.Leaf().PublicKey.(*ecdsa.PublicKey).Equal(before.PublicKey) {
		t.Errorf("the new certificate ends at %s; the same key: %v", after.NotAfter, a.Leaf().PublicKey.(*ecdsa.PublicKey).Equal(before.PublicKey))
	}
	history := reasons(h.events(cluster))
	if !strings.Contains(history, "Signal: node came back from 127.0.0.1 with a certificate that had expired at "+before.NotAfter.UTC().Format(time.RFC3339)) {
		t.Errorf("the history does not tell:\n%s", history)
	}
	// A renewal in time is no event, and is in the log with the peer.
	if err := a.Renew(t.Context(), a.bare); err != nil || reasons(h.events(cluster)) != history {
		t.Errorf("a renewal in time: %v\n%s", err, reasons(h.events(cluster)))
	}
	if log := h.log.String(); !strings.Contains(log, "node certificate renewed") || !strings.Contains(log, "expired=true") {
		t.Errorf("log:\n%s", log)
	}
}

func TestAConnectionEndsWithTheCertificateItWasMadeWith(t *testing.T) {
	h := newHarness(t)
	h.system.NodeLife = time.Hour
	n := h.node(h.cluster(), "a", store.RoleWorker)
	a := h.agent(n)
	h.publish(n, 1, nil)
	if _, _, err := a.api.Plan(t.Context(), "", 0); err != nil {
		t.Fatal(err)
	}
	h.clock.add(2 * time.Hour)
	_, _, err := a.api.Plan(t.Context(), "", 0)
	wantProblem(t, err, codeExpired, false)
	if a.rejected != 1 {
		t.Errorf("told so %d times", a.rejected)
	}
	if err := a.Renew(t.Context(), a.bare); err != nil {
		t.Fatal(err)
	}
	a.api.Reconnect()
	if _, _, err := a.api.Plan(t.Context(), "", 0); err != nil {
		t.Error(err)
	}
}

func TestRenewalsAreForTheNodesOwnKeyAlone(t *testing.T) {
	h := newHarness(t)
	cluster := h.cluster()
	a, b := h.joined(cluster, "a", store.RoleWorker), h.joined(cluster, "b", store.RoleWorker)
	fresh := h.node(cluster, "fresh", store.RoleWorker)
	request := func(node string, key any, commonName string) protocol.RenewRequest {
		der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: commonName}}, key)
		if err != nil {
			t.Fatal(err)
		}
		return protocol.RenewRequest{Node: node, CSR: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))}
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	spoilt := request(a.ID, a.key, "node:"+a.ID)
	spoilt.CSR = strings.Replace(spoilt.CSR, "A", "B", 1)
	for name, c := range map[string]struct {
		request protocol.RenewRequest
		code    string
		event   string // of the node, "" for none
	}{
		"another node's key":            {request(a.ID, b.key, "node:"+a.ID), codeForeignKey, "refused: foreign-key"},
		"another node's name":           {request(a.ID, a.key, "node:"+b.ID), codeBadRequest, `the common name must be "node:` + a.ID + `", found "node:` + b.ID},
		"an RSA key":                    {request(a.ID, rsaKey, "node:"+a.ID), codeBadRequest, "the key must be ECDSA P-256, found *rsa.PublicKey"},
		"a key of another curve":        {request(a.ID, p384, "node:"+a.ID), codeBadRequest, "the key must be ECDSA P-256"},
		"a request by nobody":           {spoilt, codeBadRequest, "refused: bad-request: csr"},
		"a node that has not joined":    {request(fresh.ID, fresh.key, "node:"+fresh.ID), codeNotJoined, "refused: not-joined"},
		"a node that nobody knows":      {request("00000000-0000-4000-8000-000000000001", a.key, "node:00000000-0000-4000-8000-000000000001"), codeUnknownNode, ""},
		"a node's name that is no UUID": {request("a", a.key, "node:a"), codeBadRequest, ""},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(h.events(cluster))
			_, err := h.client(nil).Renew(t.Context(), c.request)
			wantProblem(t, err, c.code, true)
			events := h.events(cluster)[before:]
			switch {
			case c.event == "" && len(events) > 0:
				t.Errorf("events:\n%s", reasons(events))
			case c.event != "" && (len(events) != 1 || !strings.Contains(events[0].StatusReason, "renewal from 127.0.0.1 refused") || !strings.Contains(events[0].StatusReason, c.event)):
				t.Errorf("events:\n%s\nwant one with %q", reasons(events), c.event)
			case c.event != "" && events[0].Actor != "peer:127.0.0.1":
				t.Errorf("actor %q", events[0].Actor)
			}
		})
	}
	if log := h.log.String(); strings.Count(log, "path=/node/v1/renew peer=127.0.0.1:") < 8 {
		t.Errorf("the log does not name the peers:\n%s", log)
	}
	// A request that somebody has seen on its way gives him nothing that he can use.
	replay := request(a.ID, a.key, "node:"+a.ID)
	for range 2 {
		response, err := h.client(nil).Renew(t.Context(), replay)
		if err != nil {
			t.Fatal(err)
		}
		if leaf, err := parseCertificate(response.Certificate); err != nil || !a.key.PublicKey.Equal(leaf.PublicKey) || leaf.Subject.CommonName != "node:"+a.ID {
			t.Errorf("%v %v", leaf, err)
		}
	}
	// What was deleted does not come back, whatever certificate it has.
	h.tx(func(ctx context.Context, tx *store.Tx) error { return tx.DeleteNode(ctx, a.ID) })
	_, err = h.client(nil).Renew(t.Context(), replay)
	wantProblem(t, err, codeUnknownNode, true)
	h.tx(func(ctx context.Context, tx *store.Tx) error {
		b.State = store.NodeRemoved
		return tx.UpdateNode(ctx, b.Node)
	})
	_, err = h.client(nil).Renew(t.Context(), request(b.ID, b.key, "node:"+b.ID))
	wantProblem(t, err, codeUnknownNode, true)
}

func TestRenewalsAreBoundedByPeerAndNode(t *testing.T) {
	h := newHarness(t)
	cluster := h.cluster()
	a, b := h.joined(cluster, "a", store.RoleWorker), h.joined(cluster, "b", store.RoleWorker)
	renew := func(n *testNode) error {
		csr, err := join.Request(n.key, "node:"+n.ID)
		if err != nil {
			t.Fatal(err)
		}
		_, err = h.client(nil).Renew(t.Context(), protocol.RenewRequest{Node: n.ID, CSR: csr})
		return err
	}
	for range maxRenewals {
		if err := renew(a); err != nil {
			t.Fatal(err)
		}
	}
	err := renew(a)
	wantProblem(t, err, codeTooMany, false)
	if fault.IsTerminal(err) {
		t.Error("it must pass")
	}
	if err := renew(b); err != nil {
		t.Errorf("another node pays for it: %v", err)
	}
	h.clock.add(time.Minute)
	if err := renew(a); err != nil {
		t.Errorf("a minute later: %v", err)
	}
}

func TestALimiterForgetsAndIsBounded(t *testing.T) {
	c := &clock{t: time.Unix(0, 0)}
	l := newLimiter(2, time.Minute, c.now)
	for i, want := range []bool{true, true, false} {
		if got := l.allow("a"); got != want {
			t.Errorf("call %d: %v", i, got)
		}
	}
	if !l.allow("b") {
		t.Error("b is another")
	}
	c.add(-time.Hour) // a clock that was set back locks nobody out
	if !l.allow("a") {
		t.Error("after the clock was set back")
	}
	for i := range maxNames {
		l.allow(time.Duration(i).String())
	}
	if l.allow("one more") {
		t.Error("the names are not bounded")
	}
}

func TestClocksBehindTheBakedLockStillReachTheControlPlane(t *testing.T) {
	h := newHarness(t)
	n := h.node(h.cluster(), "a", store.RoleWorker)
	floor := h.clock.now().Add(-30 * 24 * time.Hour)
	for name, c := range map[string]struct {
		now   time.Time
		floor time.Time
		works bool
	}{
		"right":                                 {h.clock.now(), floor, true},
		"at 1970, which the lock contradicts":   {time.Unix(0, 0), floor, true},
		"at 1970, and nothing contradicts":      {time.Unix(0, 0), time.Time{}, false},
		"far ahead":                             {h.clock.now().Add(1000 * 24 * time.Hour), floor, false},
		"behind a floor after all certificates": {time.Unix(0, 0), h.clock.now().Add(1000 * 24 * time.Hour), false},
	} {
		t.Run(name, func(t *testing.T) {
			api, err := agentapi.New(h.url, h.system.PEM(), nil, agentapi.WithClock(func() time.Time { return c.now }, func() time.Time { return c.floor }))
			if err != nil {
				t.Fatal(err)
			}
			defer api.Close()
			csr, err := join.Request(n.key, "node:"+n.ID)
			if err != nil {
				t.Fatal(err)
			}
			_, err = api.Join(t.Context(), protocol.JoinRequest{Node: n.ID, Token: n.token, CSR: csr})
			if (err == nil) != c.works {
				t.Errorf("error %v, want that it works: %v", err, c.works)
			}
			if err != nil && fault.IsTerminal(err) {
				t.Errorf("a clock can be set right: %v", err)
			}
		})
	}
}
