package source_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/agent/source"
)

// script answers polls one after the other.
type script struct {
	answers []func(etag string) (*protocol.Delivery, string, error)
	etags   []string
}

func (s *script) Plan(_ context.Context, etag string, _ time.Duration) (*protocol.Delivery, string, error) {
	s.etags = append(s.etags, etag)
	next := s.answers[0]
	s.answers = s.answers[1:]
	return next(etag)
}

func TestFaultsAreWaitedOutAndTheETagIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &script{answers: []func(string) (*protocol.Delivery, string, error){
			func(string) (*protocol.Delivery, string, error) { return nil, "", fault.Retriablef("gone") },
			func(string) (*protocol.Delivery, string, error) { return nil, "", fault.Terminalf("revoked") },
			func(string) (*protocol.Delivery, string, error) {
				return &protocol.Delivery{Envelope: []byte("1")}, `"a"`, nil
			},
			func(etag string) (*protocol.Delivery, string, error) { return nil, etag, nil },
			func(string) (*protocol.Delivery, string, error) {
				return &protocol.Delivery{Envelope: []byte("2")}, `"b"`, nil
			},
		}}
		s := &source.ControlPlane{API: api, Log: slog.New(slog.DiscardHandler)}
		for _, want := range []string{"1", "2"} {
			delivery, err := s.Next(t.Context())
			if err != nil || string(delivery.Envelope) != want {
				t.Errorf("got %q, %v; want %s", delivery.Envelope, err, want)
			}
		}
		if last := api.etags[len(api.etags)-1]; last != `"a"` {
			t.Errorf("the last poll said %q", last)
		}
	})
}

func TestAFileIsFollowedThroughReplacement(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	path := filepath.Join(t.TempDir(), "plan.json")
	s := &source.File{Path: path, Log: slog.New(slog.DiscardHandler)}
	defer func() { _ = s.Close() }()
	put := func(content []byte) {
		temp := path + ".new"
		if err := os.WriteFile(temp, content, 0o600); err != nil {
			t.Error(err)
		}
		if err := os.Rename(temp, path); err != nil {
			t.Error(err)
		}
	}
	for _, want := range []string{"one", "two"} {
		raw, err := json.Marshal(protocol.Delivery{Envelope: []byte(want)})
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			put([]byte("not JSON"))
			put(raw)
		}()
		delivery, err := s.Next(ctx)
		if err != nil || string(delivery.Envelope) != want {
			t.Fatalf("got %q, %v; want %s", delivery.Envelope, err, want)
		}
	}
}
