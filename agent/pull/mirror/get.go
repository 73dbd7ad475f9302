package mirror

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"slipway.build/slipway/agent/fault"
)

// ErrNotFound is the cause when a registry answers that it has no such object.
var ErrNotFound = errors.New("not found")

// get asks a mirror for the bytes from the given one on up to, not with, the byte to of a path of
// the distribution API; to is 0 for the end. The caller closes the body.
func (s *Set) get(ctx context.Context, m *mirror, path string, from, to int64, accept string) (*http.Response, error) {
	address := m.base + "/v2/" + path
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fault.Terminalf("GET %s: %w", address, err)
	}
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	ranged := to > 0 && !s.withoutRanges(m)
	if ranged {
		// Both ends are named: some registries do not know open ranges.
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", from, to-1))
	}
	resp, err := s.Client.Do(req)
	if err != nil {
		// net/http names the address after redirects, whose query may be a signature.
		var addressed *url.Error
		if errors.As(err, &addressed) {
			err = addressed.Err
		}
		return nil, fault.Retriablef("GET %s: %w", address, err)
	}
	if err := s.checkStatus(m, resp, from, ranged); err != nil {
		_ = resp.Body.Close()
		return nil, fmt.Errorf("GET %s: %w", address, err)
	}
	return resp, nil
}

func (s *Set) withoutRanges(m *mirror) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return m.noRanges
}

func (s *Set) checkStatus(m *mirror, resp *http.Response, from int64, ranged bool) error {
	switch {
	case ranged && resp.StatusCode == http.StatusPartialContent:
		if !strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", from)) {
			return fault.Retriablef("answered range %q, want one from byte %d", resp.Header.Get("Content-Range"), from)
		}
		return nil
	case resp.StatusCode == http.StatusOK:
		return nil // whole; the reader skips what it has
	case ranged && (resp.StatusCode == http.StatusRequestedRangeNotSatisfiable || resp.StatusCode == http.StatusBadRequest):
		s.mu.Lock()
		m.noRanges = true
		s.mu.Unlock()
		return fault.Retriablef("no ranges: status %s", resp.Status)
	case resp.StatusCode == http.StatusNotFound:
		// It may come yet: a mirror that lags behind, a push under way.
		return fault.Retriablef("%w: status %s", ErrNotFound, resp.Status)
	default:
		return fault.Retriablef("status %s", resp.Status)
	}
}

// skip reads past what a whole answer repeats.
func skip(body io.Reader, n int64) error {
	if _, err := io.CopyN(io.Discard, body, n); err != nil {
		return fault.Retriablef("skip %d bytes: %w", n, err)
	}
	return nil
}
