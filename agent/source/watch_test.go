package source

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
)

func TestAnOverflowCountsAsAChange(t *testing.T) {
	w, err := newWatch(filepath.Join(t.TempDir(), "plan.json"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.close() }()
	go func() { w.Errors <- fsnotify.ErrEventOverflow }()
	began := time.Now()
	if err := w.wait(t.Context()); err != nil || time.Since(began) >= look {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
}

func TestTheWayHasEveryEntryThatDecidesWhereAPathLeads(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, made := range []error{
		os.MkdirAll(filepath.Join(dir, "real", "sub"), 0o700),
		os.Symlink("real/sub/..", filepath.Join(dir, "link")),
		os.Symlink(dir+"/real/../link", filepath.Join(dir, "far")),
	} {
		if made != nil {
			t.Fatal(made)
		}
	}
	steps := way(filepath.Join(dir, "far", "missing", "plan.json"))
	for _, want := range []string{"far", "real", "link", "real/sub", "real/missing"} {
		if !slices.Contains(steps, filepath.Join(dir, want)) {
			t.Errorf("%s is not among %v", want, steps)
		}
	}
	if slices.Contains(steps, filepath.Join(dir, "real/missing/plan.json")) {
		t.Errorf("past where it breaks off: %v", steps)
	}
}
