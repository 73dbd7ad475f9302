package nodeapi

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/protocol"
)

// maxAnswer bounds what is read of an answer: a delivery holds a plan and a lock in base64.
const maxAnswer = 32 << 20

// codeExpired is the problem of a connection that has outlived the certificate it was made with.
const codeExpired = "certificate-expired"

// callTimeout bounds every call but the long poll.
const callTimeout = 20 * time.Second

// Client calls one control plane. It is safe for concurrent use.
type Client struct {
	base    string
	connect func() *http.Client
	// rejected is told when the control plane does not take the node's certificate.
	rejected func()
	clock    clock

	mu   sync.Mutex
	http *http.Client
}

// New returns a client for the control plane at base (https://host:port) whose certificate one
// of the PEM authorities in ca has signed. identity is asked for the node's certificate at each
// new connection; nil before the node has joined.
func New(base, ca string, identity func() (*tls.Certificate, error), options ...Option) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return nil, fault.Terminalf("control plane %q: want https://host:port", base)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(ca)) {
		return nil, fault.Terminalf("control plane %s: no certificate authority in the agent's configuration", base)
	}
	d := &dialer{roots: roots, identity: identity, now: time.Now, floor: func() time.Time { return time.Time{} }}
	c := &Client{base: strings.TrimSuffix(base, "/") + "/node/v1/", connect: d.client, rejected: func() {}}
	for _, option := range options {
		option(c, d)
	}
	c.http = c.connect()
	return c, nil
}

// Option changes how a client behaves.
type Option func(*Client, *dialer)

// WithClock has certificates judged by another clock than the machine's, and by a time that is surely
// over, for a machine whose clock is behind it.
func WithClock(now, floor func() time.Time) Option {
	return func(_ *Client, d *dialer) { d.now, d.floor = now, floor }
}

// OnRejected has f called when the control plane does not take the node's certificate.
func OnRejected(f func()) Option { return func(c *Client, _ *dialer) { c.rejected = f } }

// Close closes idle connections.
func (c *Client) Close() { c.client().CloseIdleConnections() }

// Reconnect has all further calls made on new connections, so with the node's newest certificate;
// calls that are under way end where they are.
func (c *Client) Reconnect() {
	c.mu.Lock()
	before := c.http
	c.http = c.connect()
	c.mu.Unlock()
	before.CloseIdleConnections()
}

func (c *Client) client() *http.Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.http
}

// Join asks for the node's identity.
func (c *Client) Join(ctx context.Context, request protocol.JoinRequest) (*protocol.JoinResponse, error) {
	response := new(protocol.JoinResponse)
	if err := c.call(ctx, http.MethodPost, "join", request, response); err != nil {
		return nil, err
	}
	return response, nil
}

// Renew asks for a new certificate for the node's key. Call it on a client without an identity.
func (c *Client) Renew(ctx context.Context, request protocol.RenewRequest) (*protocol.RenewResponse, error) {
	response := new(protocol.RenewResponse)
	if err := c.call(ctx, http.MethodPost, "renew", request, response); err != nil {
		return nil, err
	}
	return response, nil
}

// Plan waits up to wait for a plan whose ETag differs from etag. It returns nil and no error
// when there was none in that time.
func (c *Client) Plan(ctx context.Context, etag string, wait time.Duration) (*protocol.Delivery, string, error) {
	ctx, cancel := context.WithTimeout(ctx, wait+callTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"plan?wait="+wait.String(), nil)
	if err != nil {
		return nil, "", err
	}
	if etag != "" {
		req.Header.Set("If-None-Match", etag)
	}
	resp, err := c.do(req)
	if err != nil {
		return nil, "", fmt.Errorf("wait for a plan: %w", err)
	}
	defer drain(resp)
	if resp.StatusCode == http.StatusNotModified || resp.StatusCode == http.StatusNoContent {
		return nil, etag, nil
	}
	delivery := new(protocol.Delivery)
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(delivery); err != nil {
		return nil, "", fault.Retriablef("read the delivered plan: %w", err)
	}
	return delivery, resp.Header.Get("ETag"), nil
}

// Signals delivers signals; repeating them is safe.
func (c *Client) Signals(ctx context.Context, signals []protocol.Signal) error {
	return c.call(ctx, http.MethodPost, "signals", signals, nil)
}

// Certificates has keys certified.
func (c *Client) Certificates(ctx context.Context, requests []protocol.CertificateRequest) ([]protocol.CertificateResponse, error) {
	var responses []protocol.CertificateResponse
	if err := c.call(ctx, http.MethodPost, "certificates", requests, &responses); err != nil {
		return nil, err
	}
	return responses, nil
}

// Secret fetches one version of a secret of the current plan.
func (c *Client) Secret(ctx context.Context, name, version string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"secrets/"+url.PathEscape(name)+"@"+url.PathEscape(version), nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.do(req)
	if err != nil {
		return nil, fmt.Errorf("fetch secret %s@%s: %w", name, version, err)
	}
	defer drain(resp)
	const maxSecret = 1 << 20
	value, err := io.ReadAll(io.LimitReader(resp.Body, maxSecret+1))
	if err != nil {
		return nil, fault.Retriablef("fetch secret %s@%s: %w", name, version, err)
	}
	if len(value) > maxSecret {
		return nil, fault.Terminalf("fetch secret %s@%s: longer than %d bytes", name, version, maxSecret)
	}
	return value, nil
}

// archiveTimeout bounds the delivery of an archive.
const archiveTimeout = 10 * time.Minute

// Archive delivers the support archive of an action, of size bytes; repeating it is safe.
func (c *Client) Archive(ctx context.Context, action string, size int64, content io.Reader) error {
	ctx, cancel := context.WithTimeout(ctx, archiveTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+"actions/"+url.PathEscape(action)+"/archive", content)
	if err != nil {
		return err
	}
	req.ContentLength = size
	req.Header.Set("Content-Type", "application/gzip")
	resp, err := c.do(req)
	if err != nil {
		return fmt.Errorf("deliver the archive of action %s: %w", action, err)
	}
	drain(resp)
	return nil
}

func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.do(req)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer drain(resp)
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(out); err != nil {
		return fault.Retriablef("%s %s: read the answer: %w", method, path, err)
	}
	return nil
}

// do sends a request and turns an error answer into a fault with the problem's code and detail.
func (c *Client) do(req *http.Request) (*http.Response, error) {
	resp, err := c.client().Do(req)
	if err != nil {
		var remote *net.OpError
		if errors.As(err, &remote) && remote.Op == "remote error" {
			c.rejected() // an alert of TLS: it is about our certificate, there is nothing else to refuse
		}
		return nil, fault.Retriablef("%w", err)
	}
	c.clock.compare(resp)
	if resp.StatusCode < 400 {
		return resp, nil
	}
	defer drain(resp)
	problem := &Problem{Status: resp.StatusCode}
	raw, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if json.Unmarshal(raw, &problem.Problem) != nil || problem.Code == "" {
		problem.Problem = protocol.Problem{Code: "http", Detail: resp.Status}
	}
	if problem.Code == codeExpired {
		c.rejected()
	}
	if problem.Terminal {
		return nil, &fault.Error{Kind: fault.Terminal, Err: problem}
	}
	return nil, &fault.Error{Kind: fault.Retriable, Err: problem}
}

// Problem is an error answer of the control plane.
type Problem struct {
	protocol.Problem
	Status int
}

func (p *Problem) Error() string {
	return fmt.Sprintf("the control plane answered %d %s: %s", p.Status, p.Code, p.Detail)
}

// IsProblem reports whether err is an answer of the control plane with that code.
func IsProblem(err error, code string) bool {
	var problem *Problem
	return errors.As(err, &problem) && problem.Code == code
}

func drain(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10)
	_ = resp.Body.Close()
}
