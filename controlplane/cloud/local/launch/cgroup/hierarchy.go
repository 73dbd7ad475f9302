package cgroup

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// Hierarchy is one mounted tree of cgroups.
type Hierarchy struct {
	Dir         string   // mount point
	Unified     bool     // cgroup v2
	Controllers []string // of v1, as the mount options name them: "memory", "cpu", "name=systemd"
}

// Tree is all hierarchies of the machine.
type Tree struct{ Hierarchies []Hierarchy }

// Discover reads which hierarchies are mounted.
func Discover() (Tree, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return Tree{}, fmt.Errorf("find cgroup hierarchies: %w", err)
	}
	defer f.Close()
	t, err := parse(f)
	if err != nil {
		return Tree{}, fmt.Errorf("find cgroup hierarchies: %w", err)
	}
	if len(t.Hierarchies) == 0 {
		return Tree{}, fmt.Errorf("find cgroup hierarchies: none is mounted below /sys/fs/cgroup; mount cgroup2 there")
	}
	return t, nil
}

// parse reads proc_pid_mountinfo(5). A hierarchy that is mounted twice counts once.
func parse(r io.Reader) (Tree, error) {
	var t Tree
	seen := map[string]bool{}
	scan := bufio.NewScanner(r)
	for scan.Scan() {
		left, right, ok := strings.Cut(scan.Text(), " - ")
		a, b := strings.Fields(left), strings.Fields(right)
		if !ok || len(a) < 6 || len(b) < 3 || !strings.HasPrefix(b[0], "cgroup") || seen[a[2]] {
			continue
		}
		h := Hierarchy{Dir: a[4]}
		switch b[0] {
		case "cgroup2":
			h.Unified = true
		case "cgroup":
			h.Controllers = slices.DeleteFunc(strings.Split(b[2], ","), func(o string) bool { return o == "rw" || o == "ro" })
		default:
			continue
		}
		seen[a[2]] = true
		t.Hierarchies = append(t.Hierarchies, h)
	}
	return t, scan.Err()
}

// Pure reports whether the machine has cgroup v2 alone.
func (t Tree) Pure() bool { return len(t.Hierarchies) == 1 && t.Hierarchies[0].Unified }

func (h Hierarchy) has(controller string) bool { return slices.Contains(h.Controllers, controller) }
