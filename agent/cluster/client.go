package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"slipway.build/slipway/agent/backoff"
	"slipway.build/slipway/agent/cluster/transport"
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
	return &Client{
		server:    strings.TrimSuffix(api.Server, "/"),
		resources: map[string][]resource{},
		http:      transport.New(api, pki, requestTimeout),
	}
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// retry calls do until it succeeds or fails terminally, or ctx ends. Tries come quickly at first:
// the usual reason is an API server that is just starting.
func retry(ctx context.Context, what string, do func(context.Context) error) error {
	waits := backoff.Backoff{First: 50 * time.Millisecond, Max: time.Second}
	if err := waits.Retry(ctx, do); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// statusError is an answer that is no success.
type statusError struct {
	code    int
	message string
	causes  []string // what the refusal's details say, such as which disruption budget
}

func (e *statusError) Error() string {
	text := fmt.Sprintf("the API server answered %d: %s", e.code, e.message)
	if len(e.causes) > 0 {
		text += " (" + strings.Join(e.causes, "; ") + ")"
	}
	return text
}

// statusOf returns the API server's refusal in err's chain, or nil.
func statusOf(err error) *statusError {
	var status *statusError
	if errors.As(err, &status) {
		return status
	}
	return nil
}

// gone reports whether err says that there is no such thing.
func gone(err error) bool {
	status := statusOf(err)
	return status != nil && status.code == http.StatusNotFound
}

// request sends one request and decodes its JSON answer into out, which may be nil.
func (c *Client) request(ctx context.Context, method, path, media string, body []byte, out any) error {
	_, err := c.exchange(ctx, method, path, media, body, out)
	return err
}

// exchange is request; it also returns the code of a success.
func (c *Client) exchange(ctx context.Context, method, path, media string, body []byte, out any) (int, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, requestTimeout, fmt.Errorf("no answer within %s", requestTimeout))
	defer cancel()
	resp, err := c.open(ctx, method, path, media, body)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return 0, fault.Retriablef("read the answer: %w", err)
	}
	if len(raw) > maxAnswer {
		return 0, fault.Retriablef("%s %s: the answer is longer than %d MiB", method, path, maxAnswer>>20)
	}
	if out == nil {
		return resp.StatusCode, nil
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return 0, fault.Retriablef("read the answer: %w", err)
	}
	return resp.StatusCode, nil
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
		Details struct {
			Causes []struct {
				Message string `json:"message"`
			} `json:"causes"`
		} `json:"details"`
	}
	if json.Unmarshal(raw, &status) != nil || status.Message == "" {
		status.Message = strings.TrimSpace(string(raw))
	}
	err := &statusError{code: code, message: status.Message}
	for _, cause := range status.Details.Causes {
		if cause.Message != "" && !strings.Contains(status.Message, cause.Message) {
			err.causes = append(err.causes, cause.Message)
		}
	}
	switch code {
	case http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusNotAcceptable,
		http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
		return &fault.Error{Kind: fault.Terminal, Err: err}
	default:
		return &fault.Error{Kind: fault.Retriable, Err: err}
	}
}
