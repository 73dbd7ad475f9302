package backoff_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"slipway.build/slipway/agent/backoff"
)

func TestWaitsDoubleWithinTheirLimit(t *testing.T) {
	b := backoff.Backoff{First: 100 * time.Millisecond, Max: time.Second}
	for i, want := range []time.Duration{100, 200, 400, 800, 1000, 1000} {
		if got := b.Next(); got < want*time.Millisecond/2 || got > want*time.Millisecond {
			t.Errorf("wait %d is %s, want between half of %d ms and all of it", i, got, want)
		}
	}
	b.Reset()
	if got := b.Next(); got > 100*time.Millisecond {
		t.Errorf("after a reset the wait is %s", got)
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("stop")
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(cause)
		b := backoff.Backoff{First: time.Hour, Max: time.Hour}
		if err := b.Wait(ctx); !errors.Is(err, cause) {
			t.Errorf("error %v, want the cause", err)
		}
	})
}
