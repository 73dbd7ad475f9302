package collect

import (
	"context"
	"net/http"
	"sync"
	"time"

	"slipway.build/slipway/agent/heat/metadata"
	"slipway.build/slipway/agent/heat/rest"
)

// Request polls a temporary URL of Swift, or any plain HTTP server (transport POLL_TEMP_URL). As
// long as HEAD's Last-Modified is not later than the last time, it asks for nothing more; a
// server that sends ETag is asked with If-None-Match.
type Request struct {
	HTTP *rest.Client

	mu       sync.Mutex
	url      string // what the rest is about
	modified time.Time
	etag     string
}

// Name implements Collector.
func (*Request) Name() string { return nameRequest }

// Collect implements Collector.
func (c *Request) Collect(ctx context.Context, settings metadata.Settings) (Found, error) {
	address := settings.Request.MetadataURL
	if address == "" {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.url = ""
		return Found{}, ErrNotConfigured
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.url != address {
		c.url, c.modified, c.etag = address, time.Time{}, ""
	}
	head, err := c.HTTP.Do(ctx, rest.Request{Method: http.MethodHead, URL: address})
	// A temporary URL for GET allows HEAD; a server that does not is asked with GET alone.
	if err != nil && rest.StatusOf(err) == 0 {
		return Found{}, err
	}
	modified := time.Time{}
	if err == nil {
		modified, _ = http.ParseTime(head.Header.Get("Last-Modified"))
		if !modified.IsZero() && !modified.After(c.modified) {
			return Found{}, ErrUnchanged
		}
	}
	header := map[string]string{"Accept": "application/json"}
	if c.etag != "" {
		header["If-None-Match"] = c.etag
	}
	answer, err := c.HTTP.Do(ctx, rest.Request{Method: http.MethodGet, URL: address, Header: header})
	if err != nil {
		return Found{}, err
	}
	if answer.Status == http.StatusNotModified {
		return Found{}, ErrUnchanged
	}
	found, err := parse(nameRequest, answer.Body)
	if err != nil {
		return Found{}, err
	}
	// What HEAD said, not GET: were it replaced in between, the next HEAD says so.
	c.modified, c.etag = modified, answer.Header.Get("ETag")
	return found, nil
}
