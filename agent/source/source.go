// Package source is where a node's plan comes from: the control plane, by a long poll that is
// answered the moment there is something new, or a local file. A source only delivers; whether
// a plan is believed is decided by package trust.
package source

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"

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

	etag string
}

// Next returns the next delivery that differs from the one before. Faults are waited out with
// jittered backoff, so it returns an error only when ctx ends.
func (s *ControlPlane) Next(ctx context.Context) (protocol.Delivery, error) {
	waits := backoff.Backoff{First: 50 * time.Millisecond, Max: 15 * time.Second}
	wait := s.Wait
	if wait == 0 {
		wait = 5 * time.Minute
	}
	for {
		delivery, etag, err := s.API.Plan(ctx, s.etag, wait)
		switch {
		case err == nil && delivery != nil:
			s.etag = etag
			return *delivery, nil
		case err == nil:
			waits.Reset()
		case ctx.Err() != nil:
			return protocol.Delivery{}, context.Cause(ctx)
		default:
			s.Log.Warn("no plan from the control plane, trying again", "error", err)
			if err := waits.Wait(ctx); err != nil {
				return protocol.Delivery{}, err
			}
		}
	}
}

// File follows a delivery (protocol.Delivery as JSON) in a local file, for nodes without a
// control plane. Replacing the file delivers anew.
type File struct {
	Path string
	Log  *slog.Logger

	last    string
	watcher *fsnotify.Watcher
}

// Next returns the file's delivery, at once the first time, then after each change of content.
func (s *File) Next(ctx context.Context) (protocol.Delivery, error) {
	if s.watcher == nil {
		watcher, err := fsnotify.NewWatcher()
		if err != nil {
			return protocol.Delivery{}, fmt.Errorf("watch %s: %w", s.Path, err)
		}
		// The directory, because an atomic replacement is a new file of the same name.
		if err := watcher.Add(filepath.Dir(s.Path)); err != nil {
			_ = watcher.Close()
			return protocol.Delivery{}, fmt.Errorf("watch %s: %w", s.Path, err)
		}
		s.watcher = watcher
	}
	for {
		raw, err := os.ReadFile(s.Path)
		if err == nil && string(raw) != s.last {
			var delivery protocol.Delivery
			if err = json.Unmarshal(raw, &delivery); err == nil {
				s.last = string(raw)
				return delivery, nil
			}
		}
		if err != nil {
			s.Log.Warn("the plan file cannot be used yet", "path", s.Path, "error", err)
		}
		select {
		case <-ctx.Done():
			return protocol.Delivery{}, context.Cause(ctx)
		case <-s.watcher.Events:
		case err := <-s.watcher.Errors:
			return protocol.Delivery{}, fmt.Errorf("watch %s: %w", s.Path, err)
		}
	}
}

// Close ends the watch.
func (s *File) Close() error {
	if s.watcher == nil {
		return nil
	}
	return s.watcher.Close()
}
