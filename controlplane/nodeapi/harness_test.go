package nodeapi

import (
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"slipway.build/slipway/agent/join"
	agentapi "slipway.build/slipway/agent/nodeapi"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/components"
	"slipway.build/slipway/controlplane/actions"
	"slipway.build/slipway/controlplane/pki"
	"slipway.build/slipway/controlplane/store"
)

// testLock stands for the canonical bytes of a lock.
var testLock = []byte(`{"schema":"test"}`)

// oneLock knows testLock alone.
type oneLock struct{}

func (oneLock) Keys() []protocol.Signed { return nil }

func (oneLock) Lock(_ context.Context, digest string) ([]byte, []byte, error) {
	if digest != plan.DigestOf(testLock) {
		return nil, nil, fmt.Errorf("no lock %s", digest)
	}
	return testLock, []byte("signature"), nil
}

// tableProfiles asks the real table of purposes.
type tableProfiles struct{}

func (tableProfiles) Profile(_ context.Context, node *store.Node, purpose string) (components.Profile, error) {
	cluster := components.Cluster{UUID: node.ClusterID, Name: "k8s", APIAddress: "10.0.0.100"}
	return components.Subject(purpose, cluster, components.Node{ID: node.ID, Name: node.Name, Role: components.Role(node.Role), Address: node.Address})
}

// logLines collects what the server logs.
type logLines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// harness is the node API behind real TLS on a real store.
type harness struct {
	t           *testing.T
	store       *store.Store
	sealer      *store.Sealer
	system      *pki.SystemPKI
	authorities *pki.Authorities
	server      *Server
	http        *http.Server
	url         string
	log         *logLines
	clock       *clock
}

func newHarness(t *testing.T) *harness {
	t.Helper()
	dir := t.TempDir()
	h := &harness{t: t, log: &logLines{}, clock: &clock{t: time.Now()}}
	var err error
	if h.store, err = store.Open(t.Context(), filepath.Join(dir, "slipway.db"), store.Options{Now: h.clock.now}); err != nil {
		t.Fatal(err)
	}
	if h.sealer, err = store.OpenSealer(filepath.Join(dir, "seal.key")); err != nil {
		t.Fatal(err)
	}
	records := pki.NewStoreRecords(h.store)
	h.authorities = pki.NewAuthorities(records, h.sealer, h.clock.now)
	if h.system, err = pki.OpenSystem(t.Context(), records, h.sealer, h.clock.now); err != nil {
		t.Fatal(err)
	}
	h.server = New(Config{
		Store: h.store, System: h.system, Authorities: h.authorities, Profiles: tableProfiles{}, Locks: oneLock{},
		Secrets: StoreSecrets{Store: h.store, Sealer: h.sealer, Context: secretContext},
		Actions: &actions.Desk{
			Store: h.store, Signer: h.system.Plans, Archives: &actions.Archives{Dir: filepath.Join(dir, "archives")},
			Now: h.clock.now, Log: slog.New(slog.NewTextHandler(h.log, nil)),
		},
		Log: slog.New(slog.NewTextHandler(h.log, nil)), Now: h.clock.now,
	})
	config, err := TLSConfig(h.system, "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	h.http = h.server.HTTPServer(config)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.url = "https://" + listener.Addr().String()
	served := make(chan error, 1)
	go func() { served <- h.http.ServeTLS(listener, "", "") }()
	t.Cleanup(func() {
		if err := h.http.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
		if err := h.store.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

func secretContext(cluster, name, version string) string {
	return "secret/" + cluster + "/" + name + "@" + version
}

func (h *harness) tx(fn func(ctx context.Context, tx *store.Tx) error) {
	h.t.Helper()
	if err := h.store.Tx(h.t.Context(), fn); err != nil {
		h.t.Fatal(err)
	}
}

// cluster adds a cluster with its authorities and returns its UUID.
func (h *harness) cluster() string {
	h.t.Helper()
	c := &store.Cluster{ProjectID: "local", UserID: "local", Name: "k8s", Status: store.CreateInProgress}
	h.tx(func(ctx context.Context, tx *store.Tx) error { return tx.InsertCluster(ctx, c) })
	for _, purpose := range pki.Purposes() {
		if _, err := h.authorities.Ensure(h.t.Context(), c.UUID, c.Name, purpose); err != nil {
			h.t.Fatal(err)
		}
	}
	return c.UUID
}

// testNode is a registered node and its agent's side.
type testNode struct {
	*store.Node
	token string
	key   *ecdsa.PrivateKey
	api   *agentapi.Client
}

func (h *harness) node(cluster, name, role string) *testNode {
	h.t.Helper()
	n := &testNode{token: "token of " + name}
	h.tx(func(ctx context.Context, tx *store.Tx) error {
		index, err := tx.NextPodIndex(ctx, cluster)
		if err != nil {
			return err
		}
		n.Node = &store.Node{
			ID: uuid.NewString(), ClusterID: cluster, Name: name, Role: role, Address: fmt.Sprintf("10.0.0.%d", 10+index), PodIndex: index,
			TokenHash: store.HashToken(n.token), TokenExpiresAt: h.clock.now().Add(time.Hour),
		}
		return tx.InsertNode(ctx, n.Node)
	})
	var err error
	if n.key, _, err = join.NewKey(); err != nil {
		h.t.Fatal(err)
	}
	return n
}

// client returns a client with an identity, or one that has not joined when it is nil.
func (h *harness) client(identity *tls.Certificate) *agentapi.Client {
	h.t.Helper()
	var get func() (*tls.Certificate, error)
	if identity != nil {
		get = func() (*tls.Certificate, error) { return identity, nil }
	}
	c, err := agentapi.New(h.url, h.system.PEM(), get)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(c.Close)
	return c
}

func (h *harness) join(n *testNode, key *ecdsa.PrivateKey, token string) (*protocol.JoinResponse, error) {
	h.t.Helper()
	csr, err := join.Request(key, "node:"+n.ID)
	if err != nil {
		h.t.Fatal(err)
	}
	return h.client(nil).Join(h.t.Context(), protocol.JoinRequest{Node: n.ID, Token: token, CSR: csr})
}

// joined registers a node and lets it join.
func (h *harness) joined(cluster, name, role string) *testNode {
	h.t.Helper()
	n := h.node(cluster, name, role)
	response, err := h.join(n, n.key, n.token)
	if err != nil {
		h.t.Fatal(err)
	}
	leaf, err := parseCertificate(response.Certificate)
	if err != nil {
		h.t.Fatal(err)
	}
	n.api = h.client(&tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: n.key, Leaf: leaf})
	return n
}

// publish gives the node a plan and returns its deployment.
func (h *harness) publish(n *testNode, generation uint64, change func(*plan.Plan)) string {
	h.t.Helper()
	p := &plan.Plan{
		Schema: plan.Schema, Node: plan.Node{ID: n.ID, Name: n.Name, Cluster: n.ClusterID, Role: n.Role, Address: n.Address},
		Generation: generation, Deployment: uuid.NewString(), Lock: plan.DigestOf(testLock), Registries: []string{"http://registry.example:5000"},
		Images: []plan.Image{}, Units: []plan.Unit{}, Deadline: plan.Duration(time.Minute),
		Certificates: []plan.Certificate{{Name: "kubelet-client", Purpose: components.KubeletClient, Owner: "root"}},
	}
	p.Issue(h.clock.now(), time.Hour)
	if change != nil {
		change(p)
	}
	canonical, err := p.Canonical()
	if err != nil {
		h.t.Fatal(err)
	}
	envelope, err := h.system.Plans.Sign(h.t.Context(), canonical)
	if err != nil {
		h.t.Fatal(err)
	}
	h.tx(func(ctx context.Context, tx *store.Tx) error {
		return tx.InsertPlan(ctx, &store.Plan{NodeID: n.ID, Generation: generation, Deployment: p.Deployment, Digest: plan.DigestOf(canonical), Envelope: envelope})
	})
	return p.Deployment
}

func (h *harness) events(cluster string) []store.Event {
	h.t.Helper()
	events, err := h.store.Events(h.t.Context(), store.EventFilter{Cluster: cluster}, store.Page{})
	if err != nil {
		h.t.Fatal(err)
	}
	return events
}

// reasons are the status and reason of each event.
func reasons(events []store.Event) string {
	var lines []string
	for _, e := range events {
		lines = append(lines, e.Status+" "+e.StatusReason)
	}
	return strings.Join(lines, "\n")
}

func signalOf(n *testNode, deployment string, phase protocol.Phase) protocol.Signal {
	return protocol.Signal{ID: uuid.NewString(), Node: n.ID, Deployment: deployment, Phase: phase, Time: time.Now()}
}

// wantProblem demands an answer with that code.
func wantProblem(t *testing.T, err error, code string, terminal bool) {
	t.Helper()
	var p *agentapi.Problem
	if !errors.As(err, &p) || p.Code != code || p.Terminal != terminal {
		t.Errorf("error %v, want a problem %s, terminal %v", err, code, terminal)
	}
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
