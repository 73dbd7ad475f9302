package backoff_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"slipway.build/slipway/agent/backoff"
	"slipway.build/slipway/agent/fault"
)

func TestRetryEndsWithSuccessOrATerminalFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b backoff.Backoff
		tries := 0
		err := b.Retry(t.Context(), func(context.Context) error {
			if tries++; tries < 4 {
				return errors.New("not yet")
			}
			return nil
		})
		if err != nil || tries != 4 {
			t.Errorf("%d tries, error %v", tries, err)
		}
		tries = 0
		err = b.Retry(t.Context(), func(context.Context) error { tries++; return fault.Terminalf("never") })
		if !fault.IsTerminal(err) || tries != 1 {
			t.Errorf("%d tries, error %v", tries, err)
		}
	})
}

func TestRetryTellsWhatFailedBeforeItsTimeWasOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b backoff.Backoff
		cause := errors.New("the deadline has passed")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, cause)
		defer cancel()
		err := b.Retry(ctx, func(ctx context.Context) error {
			if deadline, _ := ctx.Deadline(); time.Until(deadline) < 700*time.Millisecond {
				<-ctx.Done()
				return errors.New("interrupted")
			}
			return errors.New("the disk is full")
		})
		if !errors.Is(err, cause) || fault.KindOf(err) != fault.Retriable || !strings.Contains(err.Error(), "the disk is full") {
			t.Errorf("error %v", err)
		}
	})
}
