package collect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"slipway.build/slipway/agent/heat/metadata"
	"slipway.build/slipway/agent/heat/rest"
)

// MetadataService is EC2's metadata service, which Nova answers, too.
const MetadataService = "http://169.254.169.254/latest/meta-data/"

// Bounds of the metadata service: on the same machine's host, it answers at once or not at all.
const (
	ec2Timeout = 5 * time.Second
	ec2Pause   = 10 * time.Minute // after a failure
	ec2Depth   = 8
	ec2Keys    = 200
)

// EC2 reads what the cloud says of the machine, from the configuration drive or else from the
// metadata service. It does not change, so it is read once and kept for good.
type EC2 struct {
	HTTP    *rest.Client
	URL     string // MetadataService; with a slash at its end
	Drive   func() (json.RawMessage, error)
	Kept    func() (metadata.Document, bool) // what an earlier run has found
	Now     func() time.Time
	Timeout time.Duration // 5 s when zero

	mu     sync.Mutex
	failed time.Time
	fault  error // what failed then
	docs   []metadata.Document
}

// Name implements Collector.
func (*EC2) Name() string { return nameEC2 }

// Collect implements Collector.
func (c *EC2) Collect(ctx context.Context, _ metadata.Settings) (Found, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.docs != nil {
		return Found{Docs: c.docs}, nil
	}
	if doc, ok := c.Kept(); ok {
		c.docs = []metadata.Document{doc}
		return Found{Docs: c.docs}, nil
	}
	if !c.failed.IsZero() && c.Now().Sub(c.failed) < ec2Pause {
		return Found{}, c.fault
	}
	raw, err := c.Drive()
	if err != nil {
		raw, err = c.service(ctx)
	}
	if err != nil {
		c.failed, c.fault = c.Now(), err
		return Found{}, err
	}
	found, err := parse(nameEC2, raw)
	c.docs = found.Docs
	return found, err
}

func (c *EC2) service(ctx context.Context) (json.RawMessage, error) {
	timeout := c.Timeout
	if timeout == 0 {
		timeout = ec2Timeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	keys := 0
	tree, err := c.fetch(ctx, c.URL, ec2Depth, &keys)
	if err != nil {
		return nil, err
	}
	return json.Marshal(tree)
}

// fetch reads a key, or a directory of them: its address ends in a slash.
func (c *EC2) fetch(ctx context.Context, address string, depth int, keys *int) (any, error) {
	if *keys++; depth == 0 || *keys > ec2Keys {
		return nil, errors.New("the metadata service never ends")
	}
	answer, err := c.HTTP.Do(ctx, rest.Request{Method: http.MethodGet, URL: address})
	if err != nil {
		return nil, err
	}
	text := strings.ToValidUTF8(string(answer.Body), "\uFFFD")
	if !strings.HasSuffix(address, "/") {
		return text, nil
	}
	tree := map[string]any{}
	for line := range strings.Lines(text) {
		key := strings.TrimSpace(line)
		if name, _, ok := strings.Cut(key, "="); ok {
			key = name + "/" // a public key: "0=name"
		}
		if key == "" || strings.HasPrefix(key, "/") || strings.Contains(key, "..") {
			continue
		}
		value, err := c.fetch(ctx, address+key, depth-1, keys)
		if err != nil {
			return nil, fmt.Errorf("metadata service, %s: %w", key, err)
		}
		tree[strings.TrimSuffix(key, "/")] = value
	}
	return tree, nil
}
