package source_test

import (
	"context"
	"log/slog"
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

func TestAnswersThatSayNothingAtOnceDoNotSpin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := protocol.Delivery{Envelope: []byte("1")}
		polls := 0
		s := &source.ControlPlane{Log: slog.New(slog.DiscardHandler), API: poll(func(etag string) (*protocol.Delivery, string, error) {
			polls++
			switch {
			case polls == 1 || polls%2 == 0: // the same again, whatever it is asked for
				return &first, `"a"`, nil
			default:
				return nil, etag, nil
			}
		})}
		if _, err := s.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if _, err := s.Next(ctx); err == nil {
			t.Fatal("the same delivery came twice")
		}
		if polls > 600 { // at most every 7.5 s, but for the first few
			t.Errorf("%d polls in an hour", polls)
		}
	})
}

func TestAPollThatWasHeldOpenIsFollowedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, polls := time.Now(), 0
		s := &source.ControlPlane{Log: slog.New(slog.DiscardHandler), API: poll(func(string) (*protocol.Delivery, string, error) {
			if polls++; polls == 4 {
				return &protocol.Delivery{Envelope: []byte("1")}, `"a"`, nil
			}
			time.Sleep(5 * time.Minute)
			return nil, "", nil
		})}
		if _, err := s.Next(t.Context()); err != nil || time.Since(began) != 15*time.Minute {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
	})
}

// poll answers every poll by a function.
type poll func(etag string) (*protocol.Delivery, string, error)

func (p poll) Plan(_ context.Context, etag string, _ time.Duration) (*protocol.Delivery, string, error) {
	return p(etag)
}
