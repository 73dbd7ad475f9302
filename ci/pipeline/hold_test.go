package pipeline

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// cluster is a stage that holds something, and two that use it.
func (b *book) cluster(release error) []Stage {
	boot := b.stage("boot")
	boot.Run = func(_ context.Context, s *Step) error {
		b.write("up")
		s.Hold("address", func(context.Context) error {
			b.write("down")
			return release
		})
		return nil
	}
	use := func(name string) Stage {
		s := b.stage(name)
		s.Uses = []string{"boot"}
		inner := s.Run
		s.Run = func(ctx context.Context, s *Step) error {
			if s.Held("boot") != "address" {
				return errors.New("nothing is held")
			}
			return inner(ctx, s)
		}
		return s
	}
	return []Stage{boot, use("e2e"), use("conformance"), b.stage("publish", "boot", "e2e", "conformance")}
}

func TestWhatAStageHoldsIsGivenBackAfterTheLastUser(t *testing.T) {
	cache := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := &book{}
		stages := b.cluster(nil)
		if r := run(t, Options{Cache: cache, Slots: 1}, stages...); !r.Held() {
			t.Fatal(states(r))
		}
		slices.Sort(b.lines[1:3])
		if want := []string{"up", "conformance", "e2e", "down", "publish"}; !slices.Equal(b.lines, want) {
			t.Errorf("got %v", b.lines)
		}
		b.lines = nil
		if r := run(t, Options{Cache: cache}, stages...); len(b.lines) != 0 || states(r) != "boot cached, e2e cached, conformance cached, publish cached" {
			t.Errorf("%s, %v", states(r), b.lines)
		}
		stages[1].Version++
		if r := run(t, Options{Cache: cache}, stages...); !slices.Equal(b.lines, []string{"up", "e2e", "down"}) {
			t.Errorf("%s, %v", states(r), b.lines)
		}
	})
}

func TestWhatIsHeldIsGivenBackWhenAUserFailsOrTheRunIsInterrupted(t *testing.T) {
	for name, limit := range map[string]time.Duration{"failed": time.Hour, "interrupted": time.Second / 2} {
		cache := t.TempDir()
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &book{}
				stages := b.cluster(nil)
				if name == "failed" {
					stages[1].Run = func(context.Context, *Step) error { return errors.New("a test failed") }
				}
				g, err := NewGraph(stages...)
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), limit)
				defer cancel()
				r, _ := g.Run(ctx, Options{Cache: cache})
				if b.count("down") != 1 || b.count("publish") != 0 || stageOf(t, r, "boot").State != Done {
					t.Errorf("%s, %v", states(r), b.lines)
				}
			})
		})
	}
}

func TestAReleaseThatFailsFailsItsStage(t *testing.T) {
	cache := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := &book{}
		r := run(t, Options{Cache: cache}, b.cluster(errors.New("a link is left"))...)
		boot := stageOf(t, r, "boot")
		if boot.State != Failed || boot.Reason != "give back what it holds: a link is left" || stageOf(t, r, "publish").Root != "boot" {
			t.Errorf("%+v", boot)
		}
	})
}

func TestAStageThatFailsAfterItBeganToHoldGivesBack(t *testing.T) {
	cache := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := &book{}
		stages := b.cluster(nil)
		inner := stages[0].Run
		stages[0].Run = func(ctx context.Context, s *Step) error {
			return errors.Join(inner(ctx, s), errors.New("no node came"))
		}
		r := run(t, Options{Cache: cache}, stages...)
		if !slices.Equal(b.lines, []string{"up", "down"}) || states(r) != "boot failed, e2e blocked, conformance blocked, publish blocked" {
			t.Errorf("%s, %v", states(r), b.lines)
		}
	})
}
