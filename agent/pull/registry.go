package pull

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"slipway.build/slipway/agent/fault"
)

// Media types of manifests that are accepted (OCI image-spec 1.1 and Docker's schema 2).
const (
	mediaManifest       = "application/vnd.oci.image.manifest.v1+json"
	mediaDockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
)

// NewClient returns an HTTP client that suits registries: few connections, large read buffers,
// no transparent decompression, and no limit on the whole answer (reads have one of their own).
func NewClient() *http.Client {
	return &http.Client{Transport: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSHandshakeTimeout:   5 * time.Second,
		ResponseHeaderTimeout: 15 * time.Second,
		MaxIdleConnsPerHost:   4,
		IdleConnTimeout:       10 * time.Second,
		ReadBufferSize:        256 << 10,
		DisableCompression:    true,
		ForceAttemptHTTP2:     true,
	}}
}

// registry is one base URL from which repositories are read.
type registry struct {
	base   string
	client *http.Client
}

// get asks for a path of the distribution API from the given byte on. The caller closes the body.
func (r registry) get(ctx context.Context, path string, from int64, accept string) (*http.Response, error) {
	url := strings.TrimSuffix(r.base, "/") + "/v2/" + path
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fault.Terminalf("GET %s: %w", url, err)
	}
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	if from > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", from))
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, fault.Retriablef("%w", err)
	}
	if err := checkStatus(resp, from); err != nil {
		_ = resp.Body.Close()
		return nil, fmt.Errorf("GET %s: %w", url, err)
	}
	return resp, nil
}

func checkStatus(resp *http.Response, from int64) error {
	switch {
	case from == 0 && resp.StatusCode == http.StatusOK:
		return nil
	case from > 0 && resp.StatusCode == http.StatusPartialContent:
		if !strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", from)) {
			return fault.Retriablef("answered range %q, want one from byte %d", resp.Header.Get("Content-Range"), from)
		}
		return nil
	case from > 0 && resp.StatusCode == http.StatusOK:
		// No ranges here: skip what we have.
		if _, err := io.CopyN(io.Discard, resp.Body, from); err != nil {
			return fault.Retriablef("skip %d bytes: %w", from, err)
		}
		return nil
	default:
		// Also what is not found may come: a mirror that lags behind, a push under way.
		return fault.Retriablef("status %s", resp.Status)
	}
}

// fetchSmall reads a whole object of at most limit bytes.
func (r registry) fetchSmall(ctx context.Context, path string, limit int64, accept string) ([]byte, error) {
	resp, err := r.get(ctx, path, 0, accept)
	if err != nil {
		return nil, err
	}
	body := &guardedReader{body: resp.Body}
	defer body.close()
	raw, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err != nil {
		return nil, fault.Retriablef("GET %s: %w", path, err)
	}
	if int64(len(raw)) > limit {
		return nil, fault.Terminalf("GET %s: more than %d bytes", path, limit)
	}
	return raw, nil
}

// stallLimit is how long a body may send nothing before the connection counts as broken.
const stallLimit = 20 * time.Second

var errStalled = errors.New("no byte for " + stallLimit.String())

// guardedReader fails a read that waits longer than stallLimit, by closing the body under it.
type guardedReader struct {
	body  io.ReadCloser
	timer *time.Timer
}

func (g *guardedReader) Read(p []byte) (int, error) {
	if g.timer == nil {
		g.timer = time.AfterFunc(stallLimit, func() { _ = g.body.Close() })
	} else {
		g.timer.Reset(stallLimit)
	}
	n, err := g.body.Read(p)
	if !g.timer.Stop() && err != nil && err != io.EOF {
		err = errStalled
	}
	return n, err
}

func (g *guardedReader) close() {
	if g.timer != nil {
		g.timer.Stop()
	}
	_ = g.body.Close()
}
