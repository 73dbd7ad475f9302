package apiclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// DefaultEndpoint is where slipwayd serves when nothing else was said.
const DefaultEndpoint = "http://127.0.0.1:9511"

// Microversion is the version of Magnum's API that the client asks for; 1.12 is the highest
// that still shows a cluster's stack_id.
const Microversion = "1.12"

// maxBody bounds what is read of one answer: 64 MiB, far above the events of any cluster.
const maxBody = 64 << 20

// Client talks to one slipwayd. Its methods are safe for concurrent use.
type Client struct {
	base string
	http *http.Client
}

// New returns a client of the slipwayd at endpoint, such as DefaultEndpoint. The endpoint is
// given without "/v1". A request that has no earlier deadline ends after 30 seconds.
func New(endpoint string) (*Client, error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return nil, fmt.Errorf("endpoint %q: %w", endpoint, err)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fmt.Errorf("endpoint %q: want http://HOST:PORT or https://HOST:PORT", endpoint)
	}
	base := strings.TrimSuffix(strings.TrimSuffix(endpoint, "/"), "/v1")
	return &Client{base: base, http: &http.Client{Timeout: 30 * time.Second}}, nil
}

// Endpoint returns the base URL that requests go to.
func (c *Client) Endpoint() string { return c.base }

// Ping asks for version discovery, which needs no authentication. It succeeds when something
// that calls itself Magnum answers.
func (c *Client) Ping(ctx context.Context) error {
	var root struct {
		Versions []struct {
			ID string `json:"id"`
		} `json:"versions"`
	}
	if err := c.do(ctx, http.MethodGet, "/", nil, &root); err != nil {
		return err
	}
	for _, v := range root.Versions {
		if v.ID == "v1" {
			return nil
		}
	}
	return fmt.Errorf("%s answers, but not as a Magnum API with version v1", c.base)
}

// do sends one request with in as its JSON body (none when nil) and decodes the answer into
// out (ignored when nil). Statuses from 400 on become *Error.
func (c *Client) do(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, ok := in.(json.RawMessage)
		if !ok {
			var err error
			if b, err = json.Marshal(in); err != nil {
				return fmt.Errorf("%s %s: encode the request: %w", method, path, err)
			}
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("OpenStack-API-Version", "container-infra "+Microversion)
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return &UnreachableError{Endpoint: c.base, Err: err}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return &UnreachableError{Endpoint: c.base, Err: fmt.Errorf("%s %s: read the answer: %w", method, path, err)}
	}
	if resp.StatusCode >= 400 {
		return decodeError(method, path, resp, b)
	}
	if out == nil || len(b) == 0 {
		return nil
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("%s %s: the answer is not the JSON that was expected: %w", method, path, err)
	}
	return nil
}
