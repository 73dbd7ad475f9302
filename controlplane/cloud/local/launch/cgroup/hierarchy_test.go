package cgroup

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHierarchiesAreReadFromMountinfo(t *testing.T) {
	const hybrid = `22 1 0:21 / /proc rw,relatime - proc proc rw
30 25 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
31 30 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:4 - cgroup cgroup rw,cpu,cpuacct
32 30 0:28 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
33 30 0:29 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
34 30 0:29 / /mnt/again rw,relatime - cgroup2 cgroup2 rw
`
	for name, tc := range map[string]struct {
		mountinfo string
		want      []Hierarchy
		pure      bool
	}{
		"hybrid, with a hierarchy mounted twice": {hybrid, []Hierarchy{
			{Dir: "/sys/fs/cgroup/cpu,cpuacct", Controllers: []string{"cpu", "cpuacct"}},
			{Dir: "/sys/fs/cgroup/systemd", Controllers: []string{"name=systemd"}},
			{Dir: "/sys/fs/cgroup/unified", Unified: true},
		}, false},
		"pure v2":       {"30 25 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n", []Hierarchy{{Dir: "/sys/fs/cgroup", Unified: true}}, true},
		"nothing of it": {"22 1 0:21 / /proc rw - proc proc rw\ngarbage\n", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parse(strings.NewReader(tc.mountinfo))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got.Hierarchies); diff != "" {
				t.Error(diff)
			}
			if got.Pure() != tc.pure {
				t.Errorf("Pure() = %v", got.Pure())
			}
		})
	}
}

// A directory with the control files in place stands in for a v2 hierarchy, which not every
// machine has.
func TestOnPureV2TheWatcherAndThePayloadGetGroupsOfTheirOwnBelowTheLimits(t *testing.T) {
	root := t.TempDir()
	for path, content := range map[string]string{
		"cgroup.controllers": "cpu io memory pids\n", "cgroup.subtree_control": "",
		"n/cgroup.subtree_control": "", "n/memory.max": "max\n", "n/cpu.max": "max 100000\n",
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, path)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, path), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tree := Tree{[]Hierarchy{{Dir: root, Unified: true}}}
	entry, err := tree.Create("n", Limits{Memory: 1 << 30, CPUs: 2})
	if err != nil {
		t.Fatal(err)
	}
	want := Entry{Outer: []string{root + "/n/supervise/cgroup.procs"}, Inner: []string{root + "/n/node/cgroup.procs"}}
	if diff := cmp.Diff(want, entry); diff != "" {
		t.Error(diff)
	}
	for path, content := range map[string]string{"n/memory.max": "1073741824", "n/cpu.max": "200000 100000"} {
		got, err := os.ReadFile(filepath.Join(root, path))
		if err != nil || !strings.HasPrefix(string(got), content) {
			t.Errorf("%s = %q, %v; want %s", path, got, err, content)
		}
	}
}
