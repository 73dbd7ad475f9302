package coalesce_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"slipway.build/slipway/controlplane/cloud/local/network/coalesce"
)

func TestABurstOfCallersSharesTwoRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g coalesce.Group
		var runs atomic.Int32
		run := func(context.Context) error { runs.Add(1); time.Sleep(time.Second); return nil }
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if err := g.Do(t.Context(), "a", run); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := runs.Load(); n > 2 {
			t.Errorf("%d runs, want at most 2", n)
		}
	})
}

func TestNobodyReturnsBeforeARunThatBeganAfterHisCall(t *testing.T) {
	var g coalesce.Group
	var changes, seen atomic.Int64
	var wg sync.WaitGroup
	for range 500 {
		wg.Go(func() {
			mine := changes.Add(1)
			err := g.Do(t.Context(), "a", func(context.Context) error { seen.Store(changes.Load()); return nil })
			if err != nil {
				t.Error(err)
			}
			if seen.Load() < mine {
				t.Errorf("returned after change %d was applied, the caller's was %d", seen.Load(), mine)
			}
		})
	}
	wg.Wait()
}

func TestACancelledCallerLeavesTheOthersTheirRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g coalesce.Group
		hold := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() { _ = g.Do(t.Context(), "a", func(context.Context) error { <-hold; return nil }) })
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		wg.Go(func() {
			if err := g.Do(ctx, "a", func(context.Context) error { return nil }); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		})
		synctest.Wait()
		var ran bool
		wg.Go(func() { _ = g.Do(t.Context(), "a", func(context.Context) error { ran = true; return nil }) })
		synctest.Wait()
		cancel()
		synctest.Wait()
		close(hold)
		wg.Wait()
		if !ran {
			t.Error("the second caller's run did not happen")
		}
	})
}

func TestTheErrorOfARunReachesAllWhoWaitedForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g coalesce.Group
		broken := errors.New("broken")
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				if err := g.Do(t.Context(), "a", func(context.Context) error { time.Sleep(time.Second); return broken }); !errors.Is(err, broken) {
					t.Errorf("got %v", err)
				}
			})
		}
		wg.Wait()
	})
}
