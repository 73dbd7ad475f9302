package cluster_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
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
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"slipway.build/slipway/agent/cluster"
	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/plan"
)

// server is an API server that knows discovery, server-side apply and watches, as much as needed.
type server struct {
	*httptest.Server
	mu      sync.Mutex
	applied []string
	early   int // answers of 403 before it serves
	events  map[string][]string
	refuse  int // status of every apply
}

func newServer(t *testing.T) (*server, *cluster.Client) {
	t.Helper()
	s := &server{events: map[string][]string{}}
	s.Server = httptest.NewUnstartedServer(s)
	s.EnableHTTP2 = true
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	s.StartTLS()
	t.Cleanup(s.Close)
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.crt")
	write(t, ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
	pki := filepath.Join(dir, "pki")
	pair(t, filepath.Join(pki, "admin"))
	client := cluster.New(plan.API{Server: s.URL, CA: ca, Certificate: "admin"}, pki)
	t.Cleanup(client.Close)
	return s, client
}

func write(t *testing.T, name string, raw []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

func pair(t *testing.T, dir string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "admin"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "tls.crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	write(t, filepath.Join(dir, "tls.key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.early > 0 {
		s.early--
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"kind":"Status","message":"roles are not there yet"}`)
		return
	}
	switch {
	case r.URL.Path == "/api/v1":
		_, _ = io.WriteString(w, `{"resources":[{"name":"namespaces","kind":"Namespace"},{"name":"configmaps","kind":"ConfigMap","namespaced":true}]}`)
	case r.URL.Path == "/apis/apps/v1":
		_, _ = io.WriteString(w, `{"resources":[{"name":"deployments","kind":"Deployment","namespaced":true},{"name":"deployments/scale","kind":"Scale","namespaced":true},{"name":"daemonsets","kind":"DaemonSet","namespaced":true}]}`)
	case r.Method == http.MethodPatch:
		if s.refuse != 0 {
			w.WriteHeader(s.refuse)
			_, _ = io.WriteString(w, `{"message":"spec.replicas: Invalid value"}`)
			return
		}
		if r.Header.Get("Content-Type") != "application/apply-patch+yaml" || r.URL.Query().Get("force") != "true" {
			w.WriteHeader(http.StatusUnsupportedMediaType)
			return
		}
		s.applied = append(s.applied, r.URL.Path+" by "+r.URL.Query().Get("fieldManager"))
		_, _ = io.Copy(w, r.Body)
	case r.URL.Query().Get("watch") == "true":
		key := r.URL.Path + "?" + r.URL.Query().Get("fieldSelector")
		lines := s.events[key]
		if len(lines) > 0 {
			s.events[key] = lines[1:] // one watch for each group of events
			_, _ = io.WriteString(w, lines[0])
		}
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func object(version, kind, namespace, name string) plan.Object {
	metadata := map[string]any{"name": name}
	if namespace != "" {
		metadata["namespace"] = namespace
	}
	return plan.Object{"apiVersion": version, "kind": kind, "metadata": metadata}
}

func TestObjectsAreAppliedInOrderOnceTheServerIsUp(t *testing.T) {
	s, client := newServer(t)
	s.early = 3
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	err := client.Apply(ctx, []plan.Object{
		object("v1", "Namespace", "", "dns"),
		object("v1", "ConfigMap", "dns", "config"),
		object("apps/v1", "Deployment", "dns", "coredns"),
	}, cluster.ApplyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"/api/v1/namespaces/dns by slipway",
		"/api/v1/namespaces/dns/configmaps/config by slipway",
		"/apis/apps/v1/namespaces/dns/deployments/coredns by slipway",
	}
	if !slices.Equal(s.applied, want) {
		t.Errorf("applied %v, want %v", s.applied, want)
	}
}

func TestAnInvalidObjectIsATerminalFault(t *testing.T) {
	s, client := newServer(t)
	s.refuse = http.StatusUnprocessableEntity
	err := client.Apply(t.Context(), []plan.Object{object("v1", "ConfigMap", "a", "b")}, cluster.ApplyOptions{})
	if !fault.IsTerminal(err) || !strings.Contains(err.Error(), "ConfigMap a/b") || !strings.Contains(err.Error(), "spec.replicas") {
		t.Errorf("error %v", err)
	}
}

func event(kind string, object any) string {
	raw, _ := json.Marshal(map[string]any{"type": kind, "object": object})
	return string(raw) + "\n"
}

func TestAvailabilityIsAwaitedByWatch(t *testing.T) {
	s, client := newServer(t)
	deployment := func(observed, available int) map[string]any {
		return map[string]any{
			"metadata": map[string]any{"generation": 2}, "spec": map[string]any{"replicas": 2},
			"status": map[string]any{"observedGeneration": observed, "updatedReplicas": available, "availableReplicas": available},
		}
	}
	s.events["/apis/apps/v1/namespaces/dns/deployments?metadata.name=coredns"] = []string{
		event("ADDED", deployment(1, 2)) + event("MODIFIED", deployment(2, 1)), // and the watch ends
		event("ADDED", deployment(2, 1)) + event("MODIFIED", deployment(2, 2)),
	}
	s.events["/apis/apps/v1/namespaces/dns/daemonsets?metadata.name=proxy"] = []string{
		event("ADDED", map[string]any{"metadata": map[string]any{"generation": 1}, "status": map[string]any{"observedGeneration": 1, "desiredNumberScheduled": 3, "updatedNumberScheduled": 3, "numberAvailable": 3}}),
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := client.AwaitAvailable(ctx, []plan.Object{object("v1", "ConfigMap", "dns", "x"), object("apps/v1", "Deployment", "dns", "coredns"), object("apps/v1", "DaemonSet", "dns", "proxy")}); err != nil {
		t.Fatal(err)
	}
}

func TestANodeThatStaysUnreadySaysWhy(t *testing.T) {
	s, client := newServer(t)
	node := func(status string) map[string]any {
		return map[string]any{"status": map[string]any{"conditions": []map[string]string{{"type": "Ready", "status": status, "reason": "KubeletNotReady", "message": "cni plugin not initialized"}}}}
	}
	var err error
	// How long it takes until the server has said anything is the machine's matter.
	for limit := 300 * time.Millisecond; limit < time.Minute; limit *= 3 {
		s.mu.Lock()
		s.events["/api/v1/nodes?metadata.name=n1"] = []string{event("ADDED", node("False"))}
		s.mu.Unlock()
		ctx, cancel := context.WithTimeoutCause(t.Context(), limit, fmt.Errorf("the deadline has passed"))
		err = client.AwaitNodeReady(ctx, "n1")
		cancel()
		if err == nil || strings.Contains(err.Error(), "cni plugin") {
			break
		}
	}
	for _, part := range []string{"node n1", "cni plugin not initialized", "the deadline has passed"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error %v does not say %q", err, part)
		}
	}
	s.mu.Lock()
	s.events["/api/v1/nodes?metadata.name=n1"] = []string{event("ADDED", node("False")) + event("MODIFIED", node("True"))}
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if err := client.AwaitNodeReady(ctx, "n1"); err != nil {
		t.Error(err)
	}
}
