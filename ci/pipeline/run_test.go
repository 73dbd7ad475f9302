package pipeline

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// book notes what stages do, in order.
type book struct {
	mu    sync.Mutex
	lines []string
	now   int
	most  int
}

func (b *book) write(line string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines = append(b.lines, line)
}

func (b *book) count(line string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, l := range b.lines {
		if l == line {
			n++
		}
	}
	return n
}

// step is a stage that takes a second and writes its outputs.
func (b *book) stage(name string, needs ...string) Stage {
	return Stage{Name: name, Title: name, Needs: needs, Run: func(ctx context.Context, s *Step) error {
		b.mu.Lock()
		b.now++
		b.most = max(b.most, b.now)
		b.lines = append(b.lines, name)
		b.mu.Unlock()
		defer func() {
			b.mu.Lock()
			b.now--
			b.mu.Unlock()
		}()
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		for _, o := range s.stage.Outputs {
			if err := os.WriteFile(s.Out(o), []byte("made by "+name), 0o644); err != nil {
				return err
			}
		}
		return nil
	}}
}

func run(t *testing.T, o Options, stages ...Stage) *Result {
	t.Helper()
	g, err := NewGraph(stages...)
	if err != nil {
		t.Fatal(err)
	}
	r, err := g.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func states(r *Result) string {
	var all []string
	for _, s := range r.Stages {
		all = append(all, s.Name+" "+string(s.State))
	}
	return strings.Join(all, ", ")
}

func stageOf(t *testing.T, r *Result, name string) StageResult {
	t.Helper()
	for _, s := range r.Stages {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("no stage %s in %s", name, states(r))
	return StageResult{}
}

func TestStagesThatNeedNothingOfEachOtherRunSideBySide(t *testing.T) {
	cache := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := &book{}
		r := run(t, Options{Cache: cache, Slots: 2}, b.stage("a"), b.stage("b"), b.stage("c"), b.stage("d", "a", "b", "c"))
		if !r.Held() || b.most != 2 || r.Seconds != 3 {
			t.Errorf("%s; %d at most, %v s", states(r), b.most, r.Seconds)
		}
	})
}

func TestAHeavyStageRunsAlone(t *testing.T) {
	cache := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := &book{}
		heavy := b.stage("heavy")
		heavy.Heavy = true
		inner := heavy.Run
		heavy.Run = func(ctx context.Context, s *Step) error {
			b.mu.Lock()
			beside := b.now
			b.mu.Unlock()
			if beside != 0 {
				t.Errorf("%d stages beside it", beside)
			}
			return inner(ctx, s)
		}
		if r := run(t, Options{Cache: cache, Slots: 3}, b.stage("a"), heavy, b.stage("b"), b.stage("c")); !r.Held() {
			t.Error(states(r))
		}
	})
}

func TestWhatHeldIsNotRunAgainUntilAnInputChanges(t *testing.T) {
	cache, source := t.TempDir(), filepath.Join(t.TempDir(), "source")
	write := func(text string) {
		if err := os.WriteFile(source, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		b := &book{}
		first := b.stage("first")
		first.Inputs, first.Outputs = []Input{Path("source", source)}, []string{"made"}
		second := b.stage("second")
		second.Inputs = []Input{Output("first", "made"), Parameter("size", "2")}
		again := func() string { return states(run(t, Options{Cache: cache}, second, first)) }
		write("one")
		for _, want := range []string{"first done, second done", "first cached, second cached"} {
			if got := again(); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
		write("two") // the output is the same, so that what reads it need not run
		if got := again(); got != "first done, second cached" {
			t.Error(got)
		}
		second.Inputs[1] = Parameter("size", "3")
		if got := again(); got != "first cached, second done" {
			t.Error(got)
		}
		second.Version++
		if got := again(); got != "first cached, second done" {
			t.Error(got)
		}
		if r := run(t, Options{Cache: cache, From: []string{"first"}}, second, first); states(r) != "first done, second done" {
			t.Error(states(r))
		}
		if r := run(t, Options{Cache: cache, Only: []string{"first"}}, second, first); states(r) != "first cached" {
			t.Error(states(r))
		}
	})
}

func TestADamagedOutputIsMadeAgain(t *testing.T) {
	cache := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := &book{}
		s := b.stage("one")
		s.Outputs = []string{"made"}
		r := run(t, Options{Cache: cache}, s)
		object := filepath.Join(cache, "objects", strings.TrimPrefix(r.Stages[0].Outputs[0].Digest, "sha256:"))
		if err := os.WriteFile(object, []byte("made by on"), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"one done", "one cached"} {
			if got := states(run(t, Options{Cache: cache}, s)); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
	})
}

func TestAFailureStopsWhatDependsOnItAndNothingElse(t *testing.T) {
	cache := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := &book{}
		bad := b.stage("bad")
		bad.Run = func(_ context.Context, s *Step) error {
			if err := s.Fact("seen", 7); err != nil {
				return err
			}
			return errors.New("no luck")
		}
		stages := []Stage{bad, b.stage("after", "bad"), b.stage("long", "after"), b.stage("other"), b.stage("beside", "other")}
		r := run(t, Options{Cache: cache}, stages...)
		if got := states(r); got != "bad failed, after blocked, long blocked, other done, beside done" {
			t.Error(got)
		}
		if long := stageOf(t, r, "long"); long.Root != "bad" || long.Reason != "bad has not held" {
			t.Errorf("long: %+v", long)
		}
		if err := r.Err(); err == nil || err.Error() != "stage bad: no luck" {
			t.Errorf("the run failed with %v", err)
		}
		var seen int
		bads := stageOf(t, r, "bad")
		if ok, err := bads.Fact("seen", &seen); !ok || err != nil || seen != 7 {
			t.Errorf("what it had found: %d, %v", seen, err)
		}
		stages[0] = b.stage("bad")
		if got := states(run(t, Options{Cache: cache}, stages...)); got != "bad done, after done, long done, other cached, beside cached" {
			t.Error(got)
		}
	})
}

func TestAStageThatIsNotDoneAtItsDeadlineFails(t *testing.T) {
	cache := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := &book{}
		s := b.stage("slow")
		s.Deadline = 100 * time.Millisecond
		r := run(t, Options{Cache: cache}, s)
		if got := r.Stages[0]; got.State != Failed || !strings.Contains(got.Reason, "not done after 100ms") {
			t.Errorf("%+v", got)
		}
	})
}

func TestAnInterruptedRunGoesOnWhereItWas(t *testing.T) {
	cache := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := &book{}
		g, err := NewGraph(b.stage("one"), b.stage("two", "one"), b.stage("three", "two"))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		r, err := g.Run(ctx, Options{Cache: cache})
		if err == nil || states(r) != "one done, two failed, three blocked" {
			t.Errorf("%s, %v", states(r), err)
		}
		if r, err = g.Run(t.Context(), Options{Cache: cache}); err != nil || states(r) != "one cached, two done, three done" {
			t.Errorf("%s, %v", states(r), err)
		}
	})
}

func TestTwoRunsAtATimeDoEverythingOnce(t *testing.T) {
	cache := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := &book{}
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() {
				if r := run(t, Options{Cache: cache}, b.stage("one"), b.stage("two", "one")); !r.Held() {
					t.Error(states(r))
				}
			})
		}
		both.Wait()
		if b.count("one") != 1 || b.count("two") != 1 {
			t.Errorf("done: %v", b.lines)
		}
	})
}

func TestWhatCannotBeDoneHereIsNotCalledDone(t *testing.T) {
	cache := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := &book{}
		scan := b.stage("scan")
		scan.Run = func(_ context.Context, s *Step) error { return s.Unproven("no database") }
		strict := b.stage("publish", "scan")
		strict.Strict = true
		for range 2 { // it is not kept either
			r := run(t, Options{Cache: cache}, scan, b.stage("boot", "scan"), strict)
			if got := stageOf(t, r, "scan"); got.State != Unproven || got.Reason != "no database" || r.Held() || r.Err() != nil {
				t.Errorf("%+v, %v", got, r.Err())
			}
			if got := stageOf(t, r, "publish"); got.State != Blocked || got.Root != "scan" {
				t.Errorf("%+v", got)
			}
			if got := stageOf(t, r, "boot"); !got.State.Held() {
				t.Errorf("%+v", got)
			}
		}
	})
}

func TestEventsTellEveryChangeAndTheEnd(t *testing.T) {
	cache := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := &book{}
		s := b.stage("one")
		inner := s.Run
		s.Run = func(ctx context.Context, s *Step) error {
			s.Say("file %d", 7)
			s.Progress("bytes", 3, 9)
			return inner(ctx, s)
		}
		var got []string
		run(t, Options{Cache: cache, Report: func(e Event) {
			got = append(got, fmt.Sprintf("%s %s %d/%d", e.State, e.Detail, e.Done, e.Total))
		}}, s)
		want := []string{"queued  0/0", "waiting  0/0", "running  0/0", "running file 7 0/0", "running bytes 3/9", "done  0/0"}
		if !slices.Equal(got, want) {
			t.Errorf("got %q", got)
		}
	})
}
