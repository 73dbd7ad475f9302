package cgroup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Limits are what a group may use; zero means no limit.
type Limits struct {
	Memory int64 // bytes
	CPUs   int   // whole processors' worth of time
}

// period is the accounting period of processor time, in microseconds: the kernel's default.
const period = 100000

// Entry says which files a process has to write its id to in order to join a group.
type Entry struct {
	// Outer is for the process that watches over the payload, Inner for the payload itself.
	// They are the same on v1; v2 allows no process beside a group that has controllers.
	Outer, Inner []string
}

// Create makes the group in every hierarchy and sets its limits; an existing group gets the
// limits as well.
func (t Tree) Create(name string, limits Limits) (Entry, error) {
	var e Entry
	for _, h := range t.Hierarchies {
		dir := filepath.Join(h.Dir, name)
		var err error
		switch {
		case t.Pure():
			err = createUnified(h.Dir, dir, limits)
			e.Outer = append(e.Outer, filepath.Join(dir, "supervise", "cgroup.procs"))
			e.Inner = append(e.Inner, filepath.Join(dir, "node", "cgroup.procs"))
		default:
			err = createLegacy(h, dir, limits)
			e.Outer = append(e.Outer, filepath.Join(dir, "cgroup.procs"))
			e.Inner = append(e.Inner, filepath.Join(dir, "cgroup.procs"))
		}
		if err != nil {
			return Entry{}, fmt.Errorf("make cgroup %s: %w", dir, err)
		}
	}
	return e, nil
}

func createUnified(root, dir string, limits Limits) error {
	available, err := os.ReadFile(filepath.Join(root, "cgroup.controllers"))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, c := range strings.Fields(string(available)) {
		for _, at := range []string{root, dir} {
			err := write(filepath.Join(at, "cgroup.subtree_control"), "+"+c)
			if err != nil && (c == "memory" || c == "cpu") {
				return fmt.Errorf("hand on controller %s, which the limits need: %w", c, err)
			}
		}
	}
	if limits.Memory > 0 {
		if err := write(filepath.Join(dir, "memory.max"), strconv.FormatInt(limits.Memory, 10)); err != nil {
			return err
		}
	}
	if limits.CPUs > 0 {
		if err := write(filepath.Join(dir, "cpu.max"), fmt.Sprintf("%d %d", limits.CPUs*period, period)); err != nil {
			return err
		}
	}
	for _, sub := range []string{"supervise", "node"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return err
		}
	}
	return nil
}

func createLegacy(h Hierarchy, dir string, limits Limits) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if h.has("cpuset") {
		// A cpuset takes no process before it has processors and memory nodes.
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			value, err := os.ReadFile(filepath.Join(h.Dir, file))
			if err != nil {
				return err
			}
			if err := write(filepath.Join(dir, file), strings.TrimSpace(string(value))); err != nil {
				return err
			}
		}
	}
	if h.has("memory") && limits.Memory > 0 {
		if err := write(filepath.Join(dir, "memory.limit_in_bytes"), strconv.FormatInt(limits.Memory, 10)); err != nil {
			return err
		}
	}
	if h.has("cpu") && limits.CPUs > 0 {
		if err := write(filepath.Join(dir, "cpu.cfs_period_us"), strconv.Itoa(period)); err != nil {
			return err
		}
		if err := write(filepath.Join(dir, "cpu.cfs_quota_us"), strconv.Itoa(limits.CPUs*period)); err != nil {
			return err
		}
	}
	return nil
}

// Lock locks the group's directory, exclusively or shared with other readers, and waits for that. The lock
// ends when the file is closed by all who have inherited it. A group that is not there is an
// error that errors.Is(err, fs.ErrNotExist).
func (t Tree) Lock(name string, exclusive bool) (*os.File, error) {
	path := filepath.Join(t.Hierarchies[0].Dir, name)
	how := unix.LOCK_SH
	if exclusive {
		how = unix.LOCK_EX
	}
	for {
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("lock cgroup: %w", err)
		}
		for err = unix.Flock(int(f.Fd()), how); errors.Is(err, unix.EINTR); {
			err = unix.Flock(int(f.Fd()), how)
		}
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("lock cgroup %s: %w", path, err)
		}
		held, err := f.Stat()
		if now, statErr := os.Stat(path); err == nil && statErr == nil && os.SameFile(held, now) {
			return f, nil
		}
		f.Close() // the group was removed while we waited
	}
}

// Processes returns the ids of all processes in the group and below it, sorted. A group that
// is not there has none.
func (t Tree) Processes(name string) ([]int, error) {
	found := map[int]bool{}
	for _, h := range t.Hierarchies {
		err := filepath.WalkDir(filepath.Join(h.Dir, name), func(path string, d fs.DirEntry, err error) error {
			if gone(err) {
				return nil // removed while we walk
			}
			if err != nil || d.Name() != "cgroup.procs" {
				return err
			}
			data, err := os.ReadFile(path)
			if gone(err) || errors.Is(err, unix.EOPNOTSUPP) {
				return nil
			}
			for _, field := range strings.Fields(string(data)) {
				if pid, err := strconv.Atoi(field); err == nil && pid > 0 {
					found[pid] = true
				}
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("list processes of cgroup %s: %w", name, err)
		}
	}
	pids := make([]int, 0, len(found))
	for pid := range found {
		pids = append(pids, pid)
	}
	slices.Sort(pids)
	return pids, nil
}

// Names returns the groups at the top of the hierarchies whose names begin with prefix, sorted.
func (t Tree) Names(prefix string) ([]string, error) {
	var names []string
	for _, h := range t.Hierarchies {
		entries, err := os.ReadDir(h.Dir)
		if err != nil {
			return nil, fmt.Errorf("list cgroups: %w", err)
		}
		for _, e := range entries {
			if e.IsDir() && strings.HasPrefix(e.Name(), prefix) {
				names = append(names, e.Name())
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// Remove removes the group with all groups below it from every hierarchy. The last process must
// have gone; Remove waits until the kernel has noticed that, or ctx ends.
func (t Tree) Remove(ctx context.Context, name string) error {
	for wait := time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		err := t.remove(name)
		if err == nil || !errors.Is(err, unix.EBUSY) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", err, ctx.Err())
		case <-time.After(wait):
		}
	}
}

func (t Tree) remove(name string) error {
	for _, h := range t.Hierarchies {
		var dirs []string
		err := filepath.WalkDir(filepath.Join(h.Dir, name), func(path string, d fs.DirEntry, err error) error {
			if gone(err) {
				return nil
			}
			if err == nil && d.IsDir() {
				dirs = append(dirs, path)
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("remove cgroup %s: %w", name, err)
		}
		for _, dir := range slices.Backward(dirs) {
			if err := unix.Rmdir(dir); err != nil && !gone(err) {
				return fmt.Errorf("remove cgroup %s: %w", dir, err)
			}
		}
	}
	return nil
}

// gone reports that a group or process went while it was looked at.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ESRCH)
}

func write(path, value string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.WriteString(value); err != nil {
		return fmt.Errorf("write %s to %s: %w", value, path, err)
	}
	return nil
}
