package source

import (
	"context"
	"log/slog"
	"time"

	"slipway.build/slipway/agent/backoff"
	"slipway.build/slipway/agent/protocol"
)

// API is what the control plane source needs of the node API.
type API interface {
	Plan(ctx context.Context, etag string, wait time.Duration) (*protocol.Delivery, string, error)
}

// ControlPlane follows the plan that the control plane has for this node.
type ControlPlane struct {
	API API
	Log *slog.Logger
	// Wait is how long one poll is held open; 5 minutes when zero.
	Wait time.Duration

	etag  string
	known bool            // a delivery came, and etag is its
	waits backoff.Backoff // between polls that went wrong, over all calls of Next
}

// hasty is how soon an answer with nothing new is suspicious: a poll is held open for minutes, so
// what answers at once is something in between, or a control plane that does not wait.
const hasty = time.Second

// Next returns the next delivery that differs from the one before. Polls take up where the last
// one ended, by its ETag. Faults are waited out with jittered backoff, and so are answers that
// come at once and say nothing; it returns an error only when ctx ends.
func (s *ControlPlane) Next(ctx context.Context) (protocol.Delivery, error) {
	if s.waits == (backoff.Backoff{}) {
		s.waits = backoff.Backoff{First: 50 * time.Millisecond, Max: 15 * time.Second}
	}
	wait := s.Wait
	if wait == 0 {
		wait = 5 * time.Minute
	}
	for {
		began := time.Now()
		delivery, etag, err := s.API.Plan(ctx, s.etag, wait)
		switch {
		case ctx.Err() != nil:
			return protocol.Delivery{}, context.Cause(ctx)
		case err == nil && delivery != nil && (!s.known || etag != s.etag):
			s.etag, s.known = etag, true
			s.waits.Reset()
			return *delivery, nil
		case err == nil && time.Since(began) >= min(hasty, wait/2):
			s.waits.Reset()
			continue
		case err == nil:
			s.Log.Debug("the control plane answers polls without waiting")
		default:
			s.Log.Warn("no plan from the control plane, trying again", "error", err)
		}
		if err := s.waits.Wait(ctx); err != nil {
			return protocol.Delivery{}, err
		}
	}
}
