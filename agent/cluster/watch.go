package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"slipway.build/slipway/agent/backoff"
	"slipway.build/slipway/agent/fault"
)

// event is one line of a watch.
type event struct {
	Type   string          `json:"type"`
	Object json.RawMessage `json:"object"`
}

// watch follows one object until its condition holds. A watch without a version begins with the
// object as it is, so nothing is missed between a look and the watch.
func (c *Client) watch(ctx context.Context, id identity, holds condition) error {
	state := "not there yet"
	waits := backoff.Backoff{First: 50 * time.Millisecond, Max: time.Second}
	for {
		done, err := c.watchOnce(ctx, id, holds, &state, &waits)
		if done {
			return nil
		}
		if fault.IsTerminal(err) {
			return err
		}
		if wait := waits.Wait(ctx); wait != nil {
			if err != nil && ctx.Err() == nil {
				state = fmt.Sprintf("%s (last: %v)", state, err)
			}
			return fault.Retriablef("%w; it was: %s", wait, state)
		}
	}
}

func (c *Client) watchOnce(ctx context.Context, id identity, holds condition, state *string, waits *backoff.Backoff) (bool, error) {
	path := id.collection(watched(id.kind)) + "?watch=true&timeoutSeconds=300&fieldSelector=" + url.QueryEscape("metadata.name="+id.name)
	resp, err := c.open(ctx, http.MethodGet, path, "", nil)
	if err != nil {
		*state = fmt.Sprintf("unknown (%v)", err)
		return false, err
	}
	defer func() { _ = resp.Body.Close() }()
	// More than this of one object is a watch that is begun anew.
	for dec := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)); ; {
		var e event
		if err := dec.Decode(&e); err != nil {
			return false, fault.Retriablef("the watch ended: %w", err)
		}
		waits.Reset()
		switch e.Type {
		case "ADDED", "MODIFIED":
			done, now, err := holds(e.Object)
			if *state = now; done || err != nil {
				return done, err
			}
		case "DELETED":
			*state = "deleted"
		case "ERROR":
			return false, fault.Retriablef("the watch failed: %.200s", e.Object)
		}
	}
}
