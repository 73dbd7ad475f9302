package cluster

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"slipway.build/slipway/agent/backoff"
	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/plan"
)

// FieldManager owns the fields that we apply.
const FieldManager = "slipway"

const (
	requestTimeout = 15 * time.Second
	maxAnswer      = 16 << 20
)

// Client talks to one API server as one identity. It is safe for concurrent use.
type Client struct {
	server string
	http   *http.Client

	mu        sync.Mutex
	resources map[string][]resource // by group version
}

// New returns a client for a task's API. pki is the directory of the plan's certificates. The
// files are read at the first connection, the pair again at each, so they may come later.
func New(api plan.API, pki string) *Client {
	dir := filepath.Join(pki, api.Certificate)
	return &Client{
		server:    strings.TrimSuffix(api.Server, "/"),
		resources: map[string][]resource{},
		http:      &http.Client{Transport: &lazyTransport{ca: api.CA, dir: dir}},
	}
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// lazyTransport builds the real transport when the authority's file is there.
type lazyTransport struct {
	ca, dir string

	mu   sync.Mutex
	real *http.Transport
}

// RoundTrip implements http.RoundTripper.
func (t *lazyTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	real, err := t.transport()
	if err != nil {
		return nil, err
	}
	return real.RoundTrip(req)
}

// CloseIdleConnections is what http.Client looks for.
func (t *lazyTransport) CloseIdleConnections() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.real != nil {
		t.real.CloseIdleConnections()
	}
}

func (t *lazyTransport) transport() (*http.Transport, error) {
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
		ResponseHeaderTimeout: requestTimeout,
		TLSHandshakeTimeout:   5 * time.Second,
		HTTP2:                 &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 10 * time.Second},
	}
	return t.real, nil
}

// retry calls do until it succeeds or fails terminally, or ctx ends. Tries come quickly at first:
// the usual reason is an API server that is just starting.
func retry(ctx context.Context, what string, do func(context.Context) error) error {
	waits := backoff.Backoff{First: 50 * time.Millisecond, Max: time.Second}
	for {
		err := do(ctx)
		if err == nil {
			return nil
		}
		if fault.IsTerminal(err) {
			return fmt.Errorf("%s: %w", what, err)
		}
		if wait := waits.Wait(ctx); wait != nil {
			return fault.Retriablef("%s: %w (last: %w)", what, wait, err)
		}
	}
}

// statusError is an answer that is no success.
type statusError struct {
	code    int
	message string
}

func (e *statusError) Error() string {
	return fmt.Sprintf("the API server answered %d: %s", e.code, e.message)
}

// request sends one request and decodes its JSON answer into out, which may be nil.
func (c *Client) request(ctx context.Context, method, path, media string, body []byte, out any) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	resp, err := c.open(ctx, method, path, media, body)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fault.Retriablef("read the answer: %w", err)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return fault.Retriablef("read the answer: %w", err)
	}
	return nil
}

// open sends a request and returns its answer when it is a success.
func (c *Client) open(ctx context.Context, method, path, media string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.server+path, bytes.NewReader(body))
	if err != nil {
		return nil, fault.Terminalf("%s %s: %w", method, path, err)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "slipway-agent")
	if media != "" {
		req.Header.Set("Content-Type", media)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fault.Retriablef("%w", err)
	}
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }()
	raw, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	return nil, classify(resp.StatusCode, raw)
}

// classify tells what a retry may heal. Not found, forbidden and unauthorized may: a namespace,
// the roles and the caches of a new API server appear moments after it answers.
func classify(code int, raw []byte) error {
	var status struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(raw, &status) != nil || status.Message == "" {
		status.Message = strings.TrimSpace(string(raw))
	}
	err := &statusError{code: code, message: status.Message}
	switch code {
	case http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusNotAcceptable,
		http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
		return &fault.Error{Kind: fault.Terminal, Err: err}
	default:
		return &fault.Error{Kind: fault.Retriable, Err: err}
	}
}
