package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"slipway.build/slipway/imagebuild/buildcache"
)

// DefaultKeep is how long a result stays that no run has used.
const DefaultKeep = 7 * 24 * time.Hour

// keepEach bounds the results of one stage that stay: those that were used last.
const keepEach = 10

// Pruned is what a run has removed from the cache after its end.
type Pruned struct {
	Results int   `json:"results"`
	Objects int   `json:"objects"`
	Bytes   int64 `json:"bytes"` // that the file system has back; what is linked from elsewhere does not count
	// Problem says why not all was removed that could have been. The next run tries again.
	Problem string `json:"problem,omitempty"`
}

// useLock is shared by runs, and exclusive to who prunes.
func (s store) useLock() string { return filepath.Join(s.dir, "locks", "use.lock") }

// use keeps everybody from pruning until the returned function is called, or the process ends.
func (s store) use(ctx context.Context) (func(), error) {
	return buildcache.Shared(ctx, s.useLock(), nil)
}

// touch notes that a run uses a result: prune goes by the time of the file.
func (s store) touch(key string, now time.Time) { _ = os.Chtimes(s.result(key), now, now) }

// prune removes what no run has used for as long as keep, and of each stage all but the results that
// were used last; then objects that no result names, what killed runs have left, and old logs. While
// another run is at work nothing is removed: that run prunes when it ends. Results go before the
// objects that they name, so what is killed half way has removed no part of a result, and the next
// time removes the rest.
func (s store) prune(now time.Time, keep time.Duration) Pruned {
	var p Pruned
	unlock, err := buildcache.Try(s.useLock())
	if errors.Is(err, buildcache.ErrHeld) {
		return p
	}
	if err != nil {
		p.Problem = err.Error()
		return p
	}
	defer unlock()
	before := now.Add(-keep)
	kept, err := s.pruneResults(&p, before)
	if err == nil { // without knowing all results, no object is known to be of none
		err = errors.Join(s.pruneObjects(&p, kept), s.pruneRest(kept, before))
	}
	if err != nil {
		p.Problem = "prune the pipeline's cache: " + err.Error()
	}
	return p
}

// used is a result with the time of its last use.
type used struct {
	key  string
	at   time.Time
	made *record
}

// pruneResults removes results, and returns those that stay, by key.
func (s store) pruneResults(p *Pruned, before time.Time) (map[string]*record, error) {
	entries, err := os.ReadDir(filepath.Join(s.dir, "results"))
	if err != nil {
		return nil, err
	}
	var all []used
	for _, e := range entries {
		u, err := s.readUsed(e)
		if err != nil {
			return nil, err
		}
		all = append(all, u)
	}
	slices.SortFunc(all, func(a, b used) int { return b.at.Compare(a.at) })
	kept, of := map[string]*record{}, map[string]int{}
	for _, u := range all {
		if u.made != nil && !u.at.Before(before) && of[u.made.Stage] < keepEach {
			of[u.made.Stage]++
			kept[u.key] = u.made
			continue
		}
		name := u.key
		if u.made != nil {
			name, p.Results = u.key+".json", p.Results+1
		}
		if err := os.Remove(filepath.Join(s.dir, "results", name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return kept, nil
}

// readUsed reads a result; made is nil, and key the file's name, for what is none: the rest of a
// write that was killed, or a damaged file.
func (s store) readUsed(e fs.DirEntry) (used, error) {
	none := used{key: e.Name()}
	info, err := e.Info()
	if err != nil {
		return none, err
	}
	key, result := strings.CutSuffix(e.Name(), ".json")
	if !result {
		return none, nil
	}
	text, err := os.ReadFile(s.result(key))
	if err != nil {
		return none, err
	}
	r := new(record)
	if json.Unmarshal(text, r) != nil {
		return none, nil
	}
	return used{key, info.ModTime(), r}, nil
}

// pruneObjects removes objects that no result names.
func (s store) pruneObjects(p *Pruned, kept map[string]*record) error {
	named := map[string]bool{}
	for _, r := range kept {
		for _, o := range r.Outputs {
			named[filepath.Base(s.object(o.Digest))] = true
		}
	}
	dir := filepath.Join(s.dir, "objects")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if named[e.Name()] {
			continue
		}
		path := filepath.Join(dir, e.Name())
		bytes := freed(path)
		if err := os.RemoveAll(path); err != nil {
			return err
		}
		p.Objects, p.Bytes = p.Objects+1, p.Bytes+bytes
	}
	return nil
}

// pruneRest removes work directories, all of which are of runs that were killed, and old logs of
// results that are gone, with the locks of their stages.
func (s store) pruneRest(kept map[string]*record, before time.Time) error {
	var problems []error
	for _, d := range []struct {
		dir, suffix string
		old         func(name string, info fs.FileInfo) bool
	}{
		{"work", "", func(string, fs.FileInfo) bool { return true }},
		{"logs", ".log", func(_ string, info fs.FileInfo) bool { return info.ModTime().Before(before) }},
		{"locks", ".lock", func(name string, info fs.FileInfo) bool {
			return name != filepath.Base(s.useLock()) && info.ModTime().Before(before)
		}},
	} {
		entries, err := os.ReadDir(filepath.Join(s.dir, d.dir))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			problems = append(problems, err)
		}
		for _, e := range entries {
			info, err := e.Info()
			if err != nil || kept[strings.TrimSuffix(e.Name(), d.suffix)] != nil && d.suffix != "" || !d.old(e.Name(), info) {
				continue
			}
			problems = append(problems, os.RemoveAll(filepath.Join(s.dir, d.dir, e.Name())))
		}
	}
	return errors.Join(problems...)
}

// freed is how many bytes the file system has back when a tree is removed.
func freed(root string) int64 {
	var bytes int64
	_ = filepath.WalkDir(root, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return nil
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok && info.Mode().IsRegular() && st.Nlink == 1 {
			bytes += info.Size()
		}
		return nil
	})
	return bytes
}

// String says what was removed in one line; it is empty when nothing was, and nothing went wrong.
func (p Pruned) String() string {
	switch {
	case p.Problem != "":
		return p.Problem
	case p.Results+p.Objects == 0:
		return ""
	}
	return fmt.Sprintf("removed from the pipeline's cache, as no run uses them any more: results: %d, outputs: %d, MiB: %.1f", p.Results, p.Objects, float64(p.Bytes)/(1<<20))
}
