package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"slipway.build/slipway/agent/fault"
)

// passing is an error that may pass, with the time that the registry asks to wait.
type passing struct {
	err      error
	wait     time.Duration
	answered bool // by the registry, which has then not done what was asked for
}

func (p *passing) Error() string { return p.err.Error() }
func (p *passing) Unwrap() error { return p.err }

// try calls attempt until it returns something else than a passing error.
func (r *Registry) try(ctx context.Context, attempt func() error) error {
	backoff, patience, attempts := r.Backoff, r.Patience, r.Attempts
	if backoff == 0 {
		backoff = 200 * time.Millisecond
	}
	if patience == 0 {
		patience = time.Minute
	}
	if attempts == 0 {
		attempts = 8
	}
	limit := 100 * backoff
	for n := 1; ; n++ {
		err := attempt()
		var may *passing
		if !errors.As(err, &may) {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if n == attempts {
			return fault.Retriablef("gave up after %d attempts: %w", n, may.err)
		}
		r.Retries.Add(1)
		wait := backoff/2 + rand.N(backoff)
		wait = max(wait, min(may.wait, patience))
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		case <-timer.C:
		}
		backoff = min(2*backoff, limit)
	}
}

// send makes one attempt at a request and returns the answer when its status is one of those wanted. Its body is
// the caller's to close.
func (r *Registry) send(ctx context.Context, repository string, request *http.Request, wanted ...int) (*http.Response, error) {
	client, err := r.client(ctx, repository)
	if err != nil {
		return nil, classify(err)
	}
	resp, err := client.Do(request.WithContext(ctx))
	if err != nil {
		return nil, classify(err)
	}
	for _, status := range wanted {
		if resp.StatusCode == status {
			return resp, nil
		}
	}
	defer resp.Body.Close()
	return nil, refusal(request, resp)
}

// classify tells a broken connection, which may pass, from a registry's refusal of the handshake.
func classify(err error) error {
	var refused *transport.Error
	if errors.As(err, &refused) && refused.StatusCode < 500 && refused.StatusCode != http.StatusTooManyRequests {
		return fault.Terminalf("%w", err)
	}
	return &passing{err: err}
}

// refusal makes an error of an answer.
func refusal(request *http.Request, resp *http.Response) error {
	said, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	err := fmt.Errorf("%s %s: %s%s", request.Method, request.URL.Redacted(), resp.Status, reasons(said))
	if resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusRequestTimeout {
		return &passing{err: err, wait: retryAfter(resp.Header.Get("Retry-After"), time.Now()), answered: true}
	}
	return fault.Terminalf("%w", &StatusError{Status: resp.StatusCode, err: err})
}

// StatusError is an answer that no further attempt will change.
type StatusError struct {
	Status int
	err    error
}

func (e *StatusError) Error() string { return e.err.Error() }

// Status returns the status of the answer that an error is about, 0 for other errors.
func Status(err error) int {
	var s *StatusError
	if errors.As(err, &s) {
		return s.Status
	}
	return 0
}

// reasons reads the error body of the distribution specification.
func reasons(body []byte) string {
	var said struct {
		Errors []struct{ Code, Message string } `json:"errors"`
	}
	if json.Unmarshal(body, &said) != nil {
		return ""
	}
	var all []string
	for _, e := range said.Errors {
		all = append(all, fmt.Sprintf("%.60q: %.200q", e.Code, e.Message))
	}
	if len(all) == 0 {
		return ""
	}
	return " (" + strings.Join(all, ", ") + ")"
}

// retryAfter reads the header of that name: seconds, or a date.
func retryAfter(text string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(text); err == nil && seconds >= 0 && seconds < 1<<20 {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}
