package pipeline

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/imagebuild/buildcache"
)

// writes is a pipeline of one stage that writes a value; a second output is the same for all values.
func writes(t *testing.T, value string) *Graph {
	t.Helper()
	g, err := NewGraph(Stage{Name: "write", Inputs: []Input{Parameter("value", value)}, Outputs: []string{"own", "same"}, Run: func(_ context.Context, s *Step) error {
		for _, name := range []string{"own", "same"} {
			text := map[string]string{"own": value, "same": "the same"}[name]
			if err := os.WriteFile(s.Out(name), []byte(text), 0o644); err != nil {
				return err
			}
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// on runs the pipeline of a value on a day, keeping what was used in the week before.
func on(t *testing.T, cache, value string, day int) *Result {
	t.Helper()
	now := func() time.Time { return time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC).AddDate(0, 0, day) }
	r, err := writes(t, value).Run(t.Context(), Options{Cache: cache, Now: now})
	if err != nil || r.Err() != nil {
		t.Fatal(err, r.Err())
	}
	if r.Pruned.Problem != "" {
		t.Fatal(r.Pruned.Problem)
	}
	return r
}

// inCache lists what is in a directory of the cache.
func inCache(t *testing.T, cache, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(cache, dir))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func TestWhatNoRunOfTheLastWeekHasUsedIsRemoved(t *testing.T) {
	cache := t.TempDir()
	if err := os.MkdirAll(filepath.Join(cache, "keys"), 0o700); err != nil {
		t.Fatal(err)
	}
	on(t, cache, "a", 0)
	on(t, cache, "b", 0)
	on(t, cache, "a", 6)
	r := on(t, cache, "c", 8) // b was used eight days ago, a two
	if r.Pruned.Results != 1 || r.Pruned.Objects != 1 || r.Pruned.Bytes != 1 {
		t.Errorf("removed: %+v", r.Pruned)
	}
	if !strings.HasPrefix(r.Pruned.String(), "removed from the pipeline's cache") {
		t.Errorf("it says %q", r.Pruned)
	}
	if results, objects := inCache(t, cache, "results"), inCache(t, cache, "objects"); len(results) != 2 || len(objects) != 3 {
		t.Errorf("results %v, objects %v: want those of a and c, and what both have", results, objects)
	}
	if got := states(on(t, cache, "a", 9)); got != "write cached" {
		t.Errorf("a: %s", got)
	}
	if got := states(on(t, cache, "b", 9)); got != "write done" {
		t.Errorf("b: %s", got)
	}
	if _, err := os.Stat(filepath.Join(cache, "keys")); err != nil {
		t.Errorf("the keys: %v", err)
	}
}

func TestOfEachStageTheResultsThatWereUsedLastStay(t *testing.T) {
	cache := t.TempDir()
	for i := range keepEach + 3 {
		r := on(t, cache, fmt.Sprint("value ", i), 0)
		if i < keepEach && r.Pruned.Results > 0 {
			t.Fatalf("after %d runs: %+v", i+1, r.Pruned)
		}
	}
	if got := inCache(t, cache, "results"); len(got) != keepEach {
		t.Errorf("%d results stay", len(got))
	}
	if got := inCache(t, cache, "objects"); len(got) != keepEach+1 {
		t.Errorf("%d outputs stay", len(got))
	}
}

func TestNothingIsRemovedWhileAnotherRunIsAtWork(t *testing.T) {
	cache := t.TempDir()
	on(t, cache, "a", 0)
	other, err := openStore(cache)
	if err != nil {
		t.Fatal(err)
	}
	unuse, err := other.use(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if r := on(t, cache, "b", 30); r.Pruned != (Pruned{}) || len(inCache(t, cache, "results")) != 2 {
		t.Errorf("removed beside another run: %+v", r.Pruned)
	}
	unuse()
	if r := on(t, cache, "b", 30); r.Pruned.Results != 1 || len(inCache(t, cache, "results")) != 1 {
		t.Errorf("removed afterwards: %+v", r.Pruned)
	}
}

func TestARunWaitsUntilNothingIsBeingRemoved(t *testing.T) {
	cache := t.TempDir()
	s, err := openStore(cache)
	if err != nil {
		t.Fatal(err)
	}
	// Whoever prunes has the lock exclusively; a run that is told to end meanwhile does nothing.
	pruning, err := buildcache.Exclusive(t.Context(), s.useLock(), nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := writes(t, "a").Run(ctx, Options{Cache: cache}); err == nil || len(inCache(t, cache, "results")) != 0 {
		t.Errorf("it ran beside who removes: %v", err)
	}
	pruning()
	on(t, cache, "a", 0)
}

func TestWhatKilledRunsHaveLeftIsRemoved(t *testing.T) {
	cache := t.TempDir()
	on(t, cache, "a", 0)
	old := time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	left := []string{"work/key/out/half", "objects/" + strings.Repeat("0", 64) + "/file", "results/.key.json123", "results/damaged.json", "logs/old.log", "locks/old.lock"}
	for _, name := range left {
		file := filepath.Join(cache, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("{"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, old, old); err != nil {
			t.Fatal(err)
		}
	}
	if r := on(t, cache, "a", 1); states(r) != "write cached" || r.Pruned.Objects != 1 || r.Pruned.Results != 0 {
		t.Errorf("%s, %+v", states(r), r.Pruned)
	}
	for _, name := range left {
		if _, err := os.Stat(filepath.Join(cache, filepath.FromSlash(name))); err == nil {
			t.Errorf("%s is still there", name)
		}
	}
	if got := inCache(t, cache, "locks"); !slices.Contains(got, "use.lock") {
		t.Errorf("locks: %v", got)
	}
}

func TestResultsStayForEverWhereThatIsMeant(t *testing.T) {
	cache := t.TempDir()
	on(t, cache, "a", 0)
	later := func() time.Time { return time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC) }
	r, err := writes(t, "b").Run(t.Context(), Options{Cache: cache, Now: later, Keep: -1})
	if err != nil || r.Pruned != (Pruned{}) || len(inCache(t, cache, "results")) != 2 {
		t.Errorf("%+v, %v", r.Pruned, err)
	}
}
