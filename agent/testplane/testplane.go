// Package testplane is a small control plane for tests of the agent: the real node API protocol
// over TLS 1.3 and HTTP/2, with plans that the test publishes and signals that it waits for.
package testplane

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
)

// Token is what a node joins with.
const Token = "one-time-token-of-the-test"

// Plane is the control plane of one node.
type Plane struct {
	URL     string
	CA      string // PEM
	PlanKey *ecdsa.PrivateKey
	// Secrets by <name>@<version>.
	Secrets map[string]string
	// Life is how long the certificates of nodes are good; a day when zero.
	Life time.Duration
	// Now is the clock of the control plane; time.Now when nil.
	Now func() time.Time

	t      testing.TB
	server *httptest.Server
	ca     *x509.Certificate
	caKey  *ecdsa.PrivateKey

	mu          sync.Mutex
	changed     chan struct{}
	delivery    *protocol.Delivery
	etag        string
	signals     []protocol.Signal
	seen        map[string]bool
	joinedBy    string // the key that the token was used with
	renewals    int
	polls       int
	statements  [][]byte // of plan keys
	disturbance Disturbance
	acts        acts
	deliveries  int
}

// New starts a control plane on loopback.
func New(t testing.TB) *Plane {
	t.Helper()
	p := &Plane{t: t, Secrets: map[string]string{}, changed: make(chan struct{}), seen: map[string]bool{}}
	p.PlanKey = p.key()
	p.caKey = p.key()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(10 * 24 * time.Hour), KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &p.caKey.PublicKey, p.caKey)
	p.check(err)
	p.ca, err = x509.ParseCertificate(der)
	p.check(err)
	p.CA = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	serverKey := p.key()
	chain := p.certify(&serverKey.PublicKey, "control plane") // before Life can be set: for a day
	block, _ := pem.Decode([]byte(chain))
	roots := x509.NewCertPool()
	roots.AddCert(p.ca)
	p.server = httptest.NewUnstartedServer(p.handler())
	p.server.EnableHTTP2 = true
	p.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	p.server.TLS = &tls.Config{
		MinVersion: tls.VersionTLS13, ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: roots,
		Certificates: []tls.Certificate{{Certificate: [][]byte{block.Bytes}, PrivateKey: serverKey}},
	}
	p.server.StartTLS()
	p.URL = p.server.URL
	t.Cleanup(p.Close)
	return p
}

// Roots returns the authority that signs everything here.
func (p *Plane) Roots() *x509.CertPool {
	roots := x509.NewCertPool()
	roots.AddCert(p.ca)
	return roots
}

// Use has failures reported to t from now on, for tests in parts.
func (p *Plane) Use(t testing.TB) { p.t = t }

// Close ends the control plane; open polls end at once.
func (p *Plane) Close() {
	p.server.CloseClientConnections()
	p.server.Close()
}

func (p *Plane) check(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// Publish signs a plan and delivers it with a lock.
func (p *Plane) Publish(ctx context.Context, desired *plan.Plan, lock, signature []byte) {
	p.t.Helper()
	p.PublishSignedBy(ctx, p.PlanKey, desired, lock, signature)
}

// PublishSignedBy is Publish with a key of the test's choice.
func (p *Plane) PublishSignedBy(ctx context.Context, key *ecdsa.PrivateKey, desired *plan.Plan, lock, signature []byte) {
	p.t.Helper()
	if desired.Issued.IsZero() {
		desired.Issue(time.Now(), 24*time.Hour)
	}
	envelope, err := plan.Seal(ctx, desired, key)
	p.check(err)
	digest, err := desired.Digest()
	p.check(err)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delivery, p.etag = &protocol.Delivery{Envelope: envelope, LockBytes: lock, LockSignature: signature, PlanKeys: p.statements}, `"`+digest+`"`
	p.news()
}

// Statement returns a signed statement of plan keys.
func (p *Plane) Statement(ctx context.Context, set protocol.PlanKeySet, signer *ecdsa.PrivateKey) []byte {
	p.t.Helper()
	envelope, err := plan.SealKeys(ctx, set, signer)
	p.check(err)
	return envelope
}

// DeliverAsIs delivers what the test has made up.
func (p *Plane) DeliverAsIs(delivery protocol.Delivery) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delivery, p.etag = &delivery, p.etag+"'"
	p.news()
}

// Announce delivers a statement of plan keys, with what was published last if that is anything.
func (p *Plane) Announce(ctx context.Context, set protocol.PlanKeySet, signer *ecdsa.PrivateKey) {
	p.t.Helper()
	envelope := p.Statement(ctx, set, signer)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.statements = append(p.statements, envelope)
	if p.delivery != nil {
		again := *p.delivery
		again.PlanKeys = p.statements
		p.delivery, p.etag = &again, fmt.Sprintf("%s.%d", p.etag, len(p.statements))
	}
	p.news()
}

func (p *Plane) news() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// Signals returns all signals received, each once, in order.
func (p *Plane) Signals() []protocol.Signal {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]protocol.Signal(nil), p.signals...)
}

// Polls returns how often a plan was asked for.
func (p *Plane) Polls() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.polls
}

// Await waits for a signal of that phase for the deployment. It fails the test when one of the
// phases that end a deployment comes instead, or ctx ends.
func (p *Plane) Await(ctx context.Context, deployment string, phase protocol.Phase) protocol.Signal {
	p.t.Helper()
	for {
		p.mu.Lock()
		changed := p.changed
		var last protocol.Signal
		for _, signal := range p.signals {
			if signal.Deployment != deployment {
				continue
			}
			last = signal
			if signal.Phase == phase {
				p.mu.Unlock()
				return signal
			}
			if signal.Phase == protocol.Failed && phase == protocol.Healthy {
				p.mu.Unlock()
				p.t.Fatalf("deployment %s failed: %s\n%s", deployment, signal.Reason, signal.Log)
			}
		}
		p.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			p.t.Fatalf("no signal %s of deployment %s: %v; the last one: %+v, progress %+v", phase, deployment, ctx.Err(), last, last.Progress)
		}
	}
}

func (p *Plane) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /node/v1/join", p.join)
	mux.HandleFunc("POST /node/v1/renew", p.renew)
	mux.HandleFunc("GET /node/v1/plan", p.withIdentity(p.plan))
	mux.HandleFunc("POST /node/v1/signals", p.withIdentity(p.take))
	mux.HandleFunc("POST /node/v1/certificates", p.withIdentity(p.certificates))
	mux.HandleFunc("GET /node/v1/secrets/{secret}", p.withIdentity(p.secret))
	mux.HandleFunc("POST /node/v1/actions/{action}/archive", p.withIdentity(p.archive))
	return p.disturbance.Wrap(mux)
}

func (p *Plane) withIdentity(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if len(r.TLS.PeerCertificates) == 0 || r.ProtoMajor != 2 {
			refuse(w, http.StatusUnauthorized, "no-identity", true)
			return
		}
		next(w, r)
	}
}

func refuse(w http.ResponseWriter, status int, code string, terminal bool) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(protocol.Problem{Code: code, Detail: code, Terminal: terminal})
}

func (p *Plane) plan(w http.ResponseWriter, r *http.Request) {
	wait, err := time.ParseDuration(r.URL.Query().Get("wait"))
	if err != nil {
		refuse(w, http.StatusBadRequest, "wait", true)
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	p.mu.Lock()
	p.polls++
	p.mu.Unlock()
	for {
		p.mu.Lock()
		changed := p.changed
		delivery, etag := p.withActions()
		p.mu.Unlock()
		if delivery != nil && r.Header.Get("If-None-Match") != etag {
			w.Header().Set("ETag", etag)
			_ = json.NewEncoder(w).Encode(delivery)
			p.mu.Lock()
			p.deliveries++
			p.mu.Unlock()
			return
		}
		select {
		case <-changed:
		case <-timer.C:
			w.WriteHeader(http.StatusNotModified)
			return
		case <-r.Context().Done():
			return
		}
	}
}

func (p *Plane) take(w http.ResponseWriter, r *http.Request) {
	var signals []protocol.Signal
	if json.NewDecoder(r.Body).Decode(&signals) != nil {
		refuse(w, http.StatusBadRequest, "body", true)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, signal := range signals {
		if !p.seen[signal.ID] {
			p.seen[signal.ID] = true
			p.signals = append(p.signals, signal)
		}
	}
	p.news()
	w.WriteHeader(http.StatusNoContent)
}

func (p *Plane) secret(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	value, ok := p.Secrets[r.PathValue("secret")]
	p.mu.Unlock()
	if !ok {
		refuse(w, http.StatusNotFound, "unknown-secret", true)
		return
	}
	_, _ = io.WriteString(w, value)
}
