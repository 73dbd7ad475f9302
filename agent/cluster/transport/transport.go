// Package transport makes the HTTP clients of typed work: TLS that believes one authority of the
// plan and shows one certificate of the plan, both read from their files when they are needed.
package transport

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"slipway.build/slipway/agent/plan"
)

// New returns a client for a task's API. pki is the directory of the plan's certificates. The
// authority's file is read at the first connection, the pair again at each, so they may come
// later and be renewed. headers bounds the wait for an answer's beginning; 0 leaves it to contexts.
func New(api plan.API, pki string, headers time.Duration) *http.Client {
	return &http.Client{
		Transport: &lazy{ca: api.CA, dir: filepath.Join(pki, api.Certificate), headers: headers},
		// Nothing that tasks talk to redirects; whoever does would have us ask somebody else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// lazy builds the real transport when the authority's file is there.
type lazy struct {
	ca, dir string
	headers time.Duration

	mu   sync.Mutex
	real *http.Transport
}

// RoundTrip implements http.RoundTripper.
func (t *lazy) RoundTrip(req *http.Request) (*http.Response, error) {
	real, err := t.transport()
	if err != nil {
		return nil, err
	}
	return real.RoundTrip(req)
}

// CloseIdleConnections is what http.Client looks for.
func (t *lazy) CloseIdleConnections() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.real != nil {
		t.real.CloseIdleConnections()
	}
}

func (t *lazy) transport() (*http.Transport, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.real != nil {
		return t.real, nil
	}
	pem, err := os.ReadFile(t.ca)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: no PEM certificate", t.ca)
	}
	t.real = &http.Transport{
		TLSClientConfig: &tls.Config{
			MinVersion: tls.VersionTLS12,
			RootCAs:    roots,
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				pair, err := tls.LoadX509KeyPair(filepath.Join(t.dir, "tls.crt"), filepath.Join(t.dir, "tls.key"))
				return &pair, err
			},
		},
		ForceAttemptHTTP2:     true,
		ResponseHeaderTimeout: t.headers,
		TLSHandshakeTimeout:   5 * time.Second,
		HTTP2:                 &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 10 * time.Second},
	}
	return t.real, nil
}
