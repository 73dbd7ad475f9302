package etcd

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"slipway.build/slipway/agent/backoff"
	"slipway.build/slipway/agent/cluster/transport"
	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/plan"
)

const (
	// callTimeout bounds one call. etcd itself gives up on a proposal after 7 s.
	callTimeout = 10 * time.Second
	maxAnswer   = 4 << 20
)

// Client talks to one member. It is safe for concurrent use.
type Client struct {
	endpoint string
	http     *http.Client
}

// New returns a client of the member at api. pki is the directory of the plan's certificates;
// files are read when they are needed.
func New(api plan.API, pki string) *Client {
	return &Client{endpoint: strings.TrimSuffix(api.Server, "/"), http: transport.New(api, pki, 0)}
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Error is an answer of etcd that is no success.
type Error struct {
	Code    int // of gRPC
	Message string
}

func (e *Error) Error() string { return "etcd answered: " + e.Message }

// Codes of gRPC that no retry heals: what is asked for is malformed, not there in this version,
// or not for this certificate.
const (
	invalidArgument = 3
	unimplemented   = 12
)

// header is in every answer.
type header struct {
	Cluster uint64 `json:"cluster_id,string"`
	Member  uint64 `json:"member_id,string"`
}

// call asks the member at an endpoint and decodes its answer into out.
func (c *Client) call(ctx context.Context, endpoint, path string, in, out any) error {
	return c.callWithin(ctx, callTimeout, endpoint, path, in, out)
}

func (c *Client) callWithin(ctx context.Context, limit time.Duration, endpoint, path string, in, out any) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer within %s", limit))
	defer cancel()
	resp, err := c.open(ctx, endpoint, path, in)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return fault.Retriablef("read the answer of etcd: %w", err)
	}
	if len(raw) > maxAnswer {
		return fault.Retriablef("read the answer of etcd: it is longer than %d MiB", maxAnswer>>20)
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return fault.Retriablef("read the answer of etcd: %w", err)
	}
	return nil
}

// open sends a call and returns the answer when it is a success.
func (c *Client) open(ctx context.Context, endpoint, path string, in any) (*http.Response, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return nil, fault.Terminalf("ask etcd for %s: %w", path, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint+path, bytes.NewReader(body))
	if err != nil {
		return nil, fault.Terminalf("ask etcd for %s: %w", path, err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return nil, fault.Retriablef("ask etcd at %s: %w", endpoint, err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }()
	raw, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	return nil, refusal(resp.StatusCode, raw)
}

func refusal(status int, raw []byte) error {
	var answer Error
	if json.Unmarshal(raw, &answer) != nil || answer.Message == "" {
		answer.Message = fmt.Sprintf("%d %s", status, strings.TrimSpace(string(raw)))
	}
	kind := fault.Retriable
	if answer.Code == invalidArgument || answer.Code == unimplemented {
		kind = fault.Terminal
	}
	return &fault.Error{Kind: kind, Err: &answer}
}

// retry repeats do until it succeeds, fails terminally, or ctx ends.
func retry(ctx context.Context, do func(context.Context) error) error {
	waits := backoff.Backoff{First: 50 * time.Millisecond, Max: 2 * time.Second}
	return waits.Retry(ctx, do)
}
