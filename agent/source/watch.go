package source

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// watch tells of changes on the way to a file. It is made anew after each, because a change may
// be one of the way itself.
type watch struct {
	*fsnotify.Watcher
	began time.Time
	way   map[string]bool // the entries that matter, and the directories that they are in
}

// newWatch watches every directory that the path leads through, links included.
func newWatch(path string) (*watch, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	w := &watch{Watcher: watcher, began: time.Now(), way: map[string]bool{}}
	for _, step := range way(path) {
		dir := filepath.Dir(step)
		w.way[step], w.way[dir] = true, true
		// A directory that has gone since is seen by the watch of what it was in.
		if err := watcher.Add(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, errors.Join(err, watcher.Close())
		}
	}
	return w, nil
}

// maxSteps bounds how far links are followed, as the kernel does (path_resolution(7)).
const maxSteps = 40

// way lists the entries of directories that decide what a path leads to, as they are now: each
// link and directory of it, and where it ends or breaks off.
func way(path string) []string {
	var steps []string
	rest := strings.Split(strings.TrimPrefix(filepath.Clean(path), "/"), "/")
	at := "/"
	for links := 0; len(rest) > 0 && links < maxSteps; {
		step := filepath.Join(at, rest[0])
		rest = rest[1:]
		if step == at {
			continue
		}
		if !strings.HasPrefix(at, step+"/") && step != "/" { // not on the way up
			steps = append(steps, step)
		}
		info, err := os.Lstat(step)
		switch {
		case err != nil:
			return steps
		case info.Mode()&os.ModeSymlink == 0:
			at = step
			continue
		}
		links++
		target, err := os.Readlink(step)
		if err != nil {
			return steps
		}
		if filepath.IsAbs(target) {
			at = "/"
		}
		rest = append(strings.Split(strings.Trim(target, "/"), "/"), rest...)
	}
	return steps
}

// wait waits until something on the way may have changed.
func (w *watch) wait(ctx context.Context) error {
	timer := time.NewTimer(look)
	defer timer.Stop()
	for changed := false; !changed; {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-timer.C:
			changed = true
		case <-w.Errors:
			changed = true // an overflow: events are lost, so anything may have changed
		case event := <-w.Events:
			changed = w.way[event.Name]
		}
	}
	pause := time.NewTimer(time.Until(w.began.Add(settle)))
	defer pause.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-pause.C:
		return nil
	}
}

func (w *watch) close() error { return w.Close() }
