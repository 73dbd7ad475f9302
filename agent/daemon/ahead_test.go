package daemon

import (
	"context"
	"errors"
	"testing"

	"slipway.build/slipway/agent/protocol"
)

// scripted is a source that delivers what it is given, and says when it is asked.
type scripted struct {
	asked   chan struct{}
	answers chan delivered
}

func (s *scripted) Next(ctx context.Context) (protocol.Delivery, error) {
	s.asked <- struct{}{}
	select {
	case answer := <-s.answers:
		return answer.delivery, answer.err
	case <-ctx.Done():
		return protocol.Delivery{}, context.Cause(ctx)
	}
}

func TestTheFirstPlanIsAskedForBeforeItIsWanted(t *testing.T) {
	s := &scripted{asked: make(chan struct{}, 2), answers: make(chan delivered, 2)}
	for _, number := range []string{"first", "second"} {
		s.answers <- delivered{delivery: protocol.Delivery{Envelope: []byte(number)}}
	}
	a := askAhead(t.Context(), s)
	defer a.stop()
	<-s.asked // nobody called Next
	for _, want := range []string{"first", "second"} {
		got, err := a.Next(t.Context())
		if err != nil || string(got.Envelope) != want {
			t.Fatalf("delivered %q (%v), want %q", got.Envelope, err, want)
		}
	}
}

func TestAQuestionThatIsOpenEndsWithTheAgent(t *testing.T) {
	s := &scripted{asked: make(chan struct{}, 1)}
	a := askAhead(t.Context(), s)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Next said %v", err)
	}
	a.stop() // comes back because the question ended
}
