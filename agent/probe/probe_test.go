package probe_test

import (
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/probe"
)

// patience is more than any answer takes that is to be had.
const patience = time.Minute

func ask(t *testing.T, p plan.Probe) error {
	t.Helper()
	if p.Timeout == 0 {
		p.Timeout = plan.Duration(patience)
	}
	prober, err := probe.New(p)
	if err != nil {
		t.Fatal(err)
	}
	defer prober.Close()
	return prober.Ask(t.Context())
}

func TestStatusDecides(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/well":
		case "/moved":
			w.WriteHeader(http.StatusFound)
		case "/slow":
			select {
			case <-time.After(10 * patience):
			case <-r.Context().Done():
			}
		default:
			http.Error(w, "etcd has no leader\nmore", http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	for _, path := range []string{"/well", "/moved"} {
		if err := ask(t, plan.Probe{URL: server.URL + path}); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	if err := ask(t, plan.Probe{URL: server.URL + "/sick"}); err == nil || !strings.HasSuffix(err.Error(), "etcd has no leader") {
		t.Errorf("a sick endpoint: %v", err)
	}
	if err := ask(t, plan.Probe{URL: server.URL + "/slow", Timeout: plan.Duration(50 * time.Millisecond)}); err == nil {
		t.Error("an endpoint that does not answer is well")
	}
	if err := ask(t, plan.Probe{URL: "tcp://" + server.Listener.Addr().String()}); err != nil {
		t.Error(err)
	}
	if err := ask(t, plan.Probe{URL: "tcp://127.0.0.1:1"}); err == nil {
		t.Error("nobody listens there")
	}
}

func TestAConnectionIsKeptAndReplaced(t *testing.T) {
	var connections atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	prober, err := probe.New(plan.Probe{URL: server.URL + "/", Timeout: plan.Duration(patience)})
	if err != nil {
		t.Fatal(err)
	}
	defer prober.Close()
	for range 5 {
		if err := prober.Ask(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("%d connections for five questions", n)
	}
	server.CloseClientConnections()
	if err := prober.Ask(t.Context()); err != nil {
		t.Errorf("a kept connection that was closed counts as sick: %v", err)
	}
}

func TestTLSIsVerified(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	dir := t.TempDir()
	good := filepath.Join(dir, "ca.crt")
	if err := os.WriteFile(good, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := ask(t, plan.Probe{URL: server.URL + "/", CA: good}); err != nil {
		t.Error(err)
	}
	if err := ask(t, plan.Probe{URL: server.URL + "/", CA: filepath.Join(dir, "none")}); err == nil {
		t.Error("no authority, and yet well")
	}
	other := httptest.NewTLSServer(nil)
	defer other.Close()
	foreign := strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	if err := ask(t, plan.Probe{URL: foreign + "/", CA: good}); err == nil {
		t.Error("the certificate is for another name, and yet well")
	}
}

func TestAUnixSocketIsEnough(t *testing.T) {
	dir, err := os.MkdirTemp("", "slipt-probe")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	if err := ask(t, plan.Probe{URL: "unix://" + path}); err != nil {
		t.Error(err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if err := ask(t, plan.Probe{URL: "unix://" + path}); err == nil {
		t.Error("nobody listens there")
	}
}
