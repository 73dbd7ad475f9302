package rest

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/redact"
)

// MaxBody bounds an answer in bytes. Heat's own limit of a request is 1 MiB
// (heat.conf, max_json_body_size); metadata of many deployments may be longer than one request.
const MaxBody = 16 << 20

// Times of a call. An answer that takes longer is given up and tried again by the caller.
const (
	connectTimeout = 10 * time.Second
	callTimeout    = 60 * time.Second
	idleTimeout    = 90 * time.Second
)

// maxExcerpt bounds how much of an error answer's body goes into the error, in bytes.
const maxExcerpt = 300

// Client makes calls. Its zero value is ready; it may be used by several goroutines.
type Client struct {
	// Roots reads the certificate authorities; SystemRoots when nil. It is asked again when a
	// server's authority is not known, because on Fedora CoreOS the operator's authority is put
	// in place by a unit that may run after the agent has started.
	Roots func() (*x509.CertPool, error)

	mu     sync.Mutex
	client *http.Client
}

// Request is one call. Body is sent as it is.
type Request struct {
	Method string
	URL    string
	Header map[string]string
	Body   []byte
}

// Response is a whole answer with a 2xx status, or 304.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// StatusError is an answer with any other status.
type StatusError struct {
	Status int
	What   string // method and URL without its query
	Body   string // its beginning, redacted
}

func (e *StatusError) Error() string {
	text := fmt.Sprintf("%s: status %d %s", e.What, e.Status, http.StatusText(e.Status))
	if e.Body != "" {
		text += ": " + e.Body
	}
	return text
}

// StatusOf returns the HTTP status in err's chain, 0 when it is not an answer's.
func StatusOf(err error) int {
	var status *StatusError
	if errors.As(err, &status) {
		return status.Status
	}
	return 0
}

// Do makes a call. All failures are retriable faults; a status outside of 2xx and 304 is a
// StatusError. Neither names the query, which may be a signature.
func (c *Client) Do(ctx context.Context, r Request) (*Response, error) {
	response, err := c.answer(ctx, r)
	if err != nil {
		return nil, err
	}
	if response.Status/100 != 2 && response.Status != http.StatusNotModified {
		return nil, fault.Retriablef("%w", &StatusError{Status: response.Status, What: describe(r), Body: excerpt(response.Body)})
	}
	return response, nil
}

// Any makes a call and returns the answer's body whatever its status.
func (c *Client) Any(ctx context.Context, r Request) ([]byte, error) {
	response, err := c.answer(ctx, r)
	if err != nil {
		return nil, err
	}
	return response.Body, nil
}

func (c *Client) answer(ctx context.Context, r Request) (*Response, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	response, err := c.once(ctx, r)
	var unknown x509.UnknownAuthorityError
	if errors.As(err, &unknown) && c.forget() {
		response, err = c.once(ctx, r)
	}
	if err != nil {
		return nil, fault.Retriablef("%s: %w", describe(r), withoutURL(err))
	}
	return response, nil
}

func (c *Client) once(ctx context.Context, r Request) (*Response, error) {
	client, err := c.get()
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, r.Method, r.URL, bytes.NewReader(r.Body))
	if err != nil {
		return nil, err
	}
	for name, value := range r.Header {
		request.Header.Set(name, value)
	}
	answer, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, MaxBody+1))
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	if len(body) > MaxBody {
		return nil, fmt.Errorf("the answer is longer than %d bytes", MaxBody)
	}
	return &Response{Status: answer.StatusCode, Header: answer.Header, Body: body}, nil
}

func (c *Client) get() (*http.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.client != nil {
		return c.client, nil
	}
	roots := c.Roots
	if roots == nil {
		roots = SystemRoots
	}
	pool, err := roots()
	if err != nil {
		return nil, err
	}
	c.client = &http.Client{CheckRedirect: sameHost, Transport: &http.Transport{
		Proxy:               proxy,
		DialContext:         (&net.Dialer{Timeout: connectTimeout}).DialContext,
		TLSHandshakeTimeout: connectTimeout,
		TLSClientConfig:     &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
		MaxIdleConnsPerHost: 1,
		IdleConnTimeout:     idleTimeout,
	}}
	return c.client, nil
}

// proxy is the environment's, except for link-local addresses: the metadata service is there, and
// a proxy would ask its own.
func proxy(r *http.Request) (*url.URL, error) {
	if address, err := netip.ParseAddr(r.URL.Hostname()); err == nil && address.IsLinkLocalUnicast() {
		return nil, nil
	}
	return http.ProxyFromEnvironment(r)
}

// forget has the next call read the authorities anew, and reports whether that is worth while.
func (c *Client) forget() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.client == nil {
		return false
	}
	c.client.CloseIdleConnections()
	c.client = nil
	return true
}

// Close gives idle connections back.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.client != nil {
		c.client.CloseIdleConnections()
	}
}

// sameHost refuses to follow a redirect to another host: X-Auth-Token would go there, too.
func sameHost(next *http.Request, via []*http.Request) error {
	const most = 5
	if len(via) >= most {
		return fmt.Errorf("more than %d redirects", most)
	}
	if first := via[0].URL; next.URL.Host != first.Host || next.URL.Scheme != first.Scheme {
		return fmt.Errorf("refused to follow a redirect to another host (%s)", next.URL.Host)
	}
	return nil
}

// describe names a call without its query and without credentials in its URL.
func describe(r Request) string {
	parsed, err := url.Parse(r.URL)
	if err != nil {
		return r.Method + " (an address that is none)"
	}
	parsed.RawQuery, parsed.User = "", nil
	return r.Method + " " + parsed.String()
}

// withoutURL takes the URL, whose query may be a signature, out of net/http's errors.
func withoutURL(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

func excerpt(body []byte) string {
	text := redact.Text(string(bytes.ToValidUTF8(body[:min(len(body), maxExcerpt)], nil)))
	return string(bytes.Join(bytes.Fields([]byte(text)), []byte(" ")))
}
