package testnode

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// enterCgroup makes a cgroup of the container's own in every hierarchy, because two systemds in
// one would disturb each other, and returns the script of a shell that enters it and becomes
// nspawn.
func (n *Node) enterCgroup() (string, error) {
	var script strings.Builder
	for _, dir := range n.Cgroups() {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return "", err
		}
		for _, name := range []string{"cpuset.cpus", "cpuset.mems"} {
			if raw, err := os.ReadFile(filepath.Join(filepath.Dir(dir), name)); err == nil {
				if err := os.WriteFile(filepath.Join(dir, name), raw, 0o644); err != nil {
					return "", err
				}
			}
		}
		fmt.Fprintf(&script, "echo $$ > %s/cgroup.procs\n", dir)
	}
	return script.String() + `exec "$@"`, nil
}

// Cgroups returns the container's directory in each hierarchy: the one of v2 alone, or those of
// v1 with the empty v2 one beside them.
func (n *Node) Cgroups() []string {
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.procs"); err == nil {
		return []string{filepath.Join("/sys/fs/cgroup", n.name)}
	}
	var out []string
	mounts, _ := filepath.Glob("/sys/fs/cgroup/*/cgroup.procs")
	for _, file := range mounts {
		out = append(out, filepath.Join(filepath.Dir(file), n.name))
	}
	return out
}

// Processes returns the host's pids of a unit's processes.
func (n *Node) Processes(unit string) []int {
	var found []int
	for _, dir := range n.Cgroups() {
		if base := filepath.Base(filepath.Dir(dir)); base != "systemd" && base != "cgroup" {
			continue // controllers of v1 have the same processes
		}
		_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.Name() != "cgroup.procs" || filepath.Base(filepath.Dir(path)) != unit {
				return nil
			}
			raw, _ := os.ReadFile(path)
			for _, field := range strings.Fields(string(raw)) {
				if pid, err := strconv.Atoi(field); err == nil {
					found = append(found, pid)
				}
			}
			return nil
		})
	}
	return found
}

// clearCgroups ends what is left in the container's cgroups and removes them.
func (n *Node) clearCgroups() error {
	for _, dir := range n.Cgroups() {
		for tries := 0; ; tries++ {
			removeCgroups(dir)
			if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
				break
			}
			if tries == 500 {
				return fmt.Errorf("cgroup %s cannot be removed", dir)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	return nil
}

func removeCgroups(dir string) {
	var dirs []string
	_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
		case entry.IsDir():
			dirs = append(dirs, path)
		case entry.Name() == "cgroup.procs":
			raw, _ := os.ReadFile(path)
			for _, pid := range strings.Fields(string(raw)) {
				if number, err := strconv.Atoi(pid); err == nil && number > 0 {
					_ = syscall.Kill(number, syscall.SIGKILL)
				}
			}
		}
		return nil
	})
	for i := len(dirs) - 1; i >= 0; i-- {
		_ = os.Remove(dirs[i])
	}
}
