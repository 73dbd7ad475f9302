package typedwork

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"sync"
	"testing"

	"slipway.build/slipway/agent/plan"
)

// gate stands between an agent and a server, and kills the agent at a point of its choice: a
// request that has not reached the server yet, or one that is done of which the agent never hears.
type gate struct {
	*httptest.Server
	ca *authority

	mu    sync.Mutex
	agent *agent
	point func(path, method string, code int) bool
	fired chan struct{}
}

// newGate lets in who has a certificate of the agent's control plane.
func newGate(t *testing.T, a *agent, ca *authority, upstream string, client *tls.Config) *gate {
	t.Helper()
	target, err := url.Parse(upstream)
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{ca: ca}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.Transport = &http.Transport{TLSClientConfig: client, ForceAttemptHTTP2: true}
	proxy.FlushInterval = -1
	proxy.ErrorLog = log.New(io.Discard, "", 0)
	proxy.ModifyResponse = func(resp *http.Response) error {
		if g.reached(resp.Request, resp.StatusCode) {
			// It is done there, and for a stream the agent has the beginning of it.
			resp.Body = &cut{ReadCloser: resp.Body, gate: g, left: streamed(resp.Request)}
		}
		return nil
	}
	plane := x509.NewCertPool()
	if !plane.AppendCertsFromPEM([]byte(a.plane.CA)) {
		t.Fatal("the control plane has no authority")
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(ca.pair("gate"), "tls.crt"), filepath.Join(ca.dir, "gate", "tls.key"))
	if err != nil {
		t.Fatal(err)
	}
	g.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.reached(r, 0) {
			g.kill()
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	g.Config.ErrorLog = log.New(io.Discard, "", 0)
	g.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: plane, Certificates: []tls.Certificate{pair}}
	g.StartTLS()
	t.Cleanup(func() { g.CloseClientConnections(); g.Close() })
	return g
}

// api is how a plan's task reaches the gate.
func (g *gate) api() *plan.API {
	return &plan.API{Server: g.URL, CA: g.ca.file, Certificate: "client"}
}

// arm has the agent killed at a point, once.
func (g *gate) arm(a *agent, point func(path, method string, code int) bool) <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.agent, g.point, g.fired = a, point, make(chan struct{})
	return g.fired
}

func (g *gate) reached(r *http.Request, code int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.point == nil || !g.point(r.URL.Path, r.Method, code) {
		return false
	}
	g.point = nil
	return true
}

func (g *gate) kill() {
	g.mu.Lock()
	a, fired := g.agent, g.fired
	g.mu.Unlock()
	a.process.kill()
	close(fired)
}

// streamed is how many bytes of an answer the agent gets before it is killed.
func streamed(r *http.Request) int64 {
	if r.URL.Path == "/v3/maintenance/snapshot" {
		return 300 << 10
	}
	return 0
}

// cut is a body that kills who reads it.
type cut struct {
	io.ReadCloser
	gate *gate
	left int64
	once sync.Once
}

func (c *cut) Read(p []byte) (int, error) {
	if c.left <= 0 {
		c.once.Do(c.gate.kill)
		return 0, io.ErrUnexpectedEOF
	}
	n, err := c.ReadCloser.Read(p[:min(int64(len(p)), c.left)])
	if c.left -= int64(n); err != nil {
		c.left = 0
		return n, nil
	}
	return n, nil
}

// counted returns a point: the n-th of the requests that change something, before it or after.
func counted(n int, after bool, changes func(path, method string) bool) func(string, string, int) bool {
	seen := map[bool]int{}
	return func(path, method string, code int) bool {
		if !changes(path, method) {
			return false
		}
		is := code != 0
		seen[is]++
		return is == after && seen[is] == n+1
	}
}

// done returns a point: after a request for a path has succeeded, or before one is made.
func done(path string, after bool) func(string, string, int) bool {
	return func(p, _ string, code int) bool {
		return p == path && (after && code == http.StatusOK || !after && code == 0)
	}
}
