package turn_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"slipway.build/slipway/agent/turn"
)

func TestOneHasTheTurnAndTheOthersAreToldWho(t *testing.T) {
	var subject turn.Turn
	release, _, ok := subject.Try("plan 5", nil)
	if !ok {
		t.Fatal("a free turn is not given")
	}
	if _, holder, ok := subject.Try("action", nil); ok || holder != "plan 5" {
		t.Errorf("given twice, or held by %q", holder)
	}
	release()
	release() // once more is harmless
	if _, _, ok := subject.Try("action", nil); !ok {
		t.Error("a turn that was given back is not given")
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("enough")
	cancel(cause)
	if _, err := subject.Wait(ctx, "plan 6", nil); !errors.Is(err, cause) {
		t.Errorf("the end of the wait: %v", err)
	}
}

func TestWhoWaitsHasTheHolderYieldAndIsNext(t *testing.T) {
	var subject turn.Turn
	yielded := make(chan struct{})
	release, _, _ := subject.Try("action", sync.OnceFunc(func() { close(yielded) }))
	go func() {
		<-yielded
		release()
	}()
	next, err := subject.Wait(t.Context(), "plan 5", nil)
	if err != nil {
		t.Fatal(err)
	}
	next()
}

func TestManyNeverHoldItTogether(t *testing.T) {
	var subject turn.Turn
	var group sync.WaitGroup
	holders := 0
	for range 16 {
		group.Go(func() {
			for range 200 {
				release, err := subject.Wait(t.Context(), "somebody", nil)
				if err != nil {
					t.Error(err)
					return
				}
				if holders++; holders != 1 {
					t.Errorf("%d have the turn", holders)
				}
				holders--
				release()
			}
		})
	}
	group.Wait()
}
