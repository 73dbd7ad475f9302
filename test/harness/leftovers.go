package harness

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// product reports whether a name is one that the product gives. Names that begin with "slipt"
// are those of the tests of single packages, which may run at the same time.
func product(name string) bool {
	return strings.HasPrefix(name, "slip") && !strings.HasPrefix(name, "slipt")
}

// Leftovers lists what of a Slipway is on this machine, without asking Slipway: processes,
// links, network name spaces, nftables tables, mounts, cgroups and state. All that Slipway
// makes on a host has a name that begins with "slip".
func (s *System) Leftovers(t *testing.T) []string {
	t.Helper()
	var found []string
	add := func(kind, name string) { found = append(found, kind+" "+name) }

	for _, l := range strings.Split(output(t, "ip", "-o", "link"), "\n") {
		if f := strings.Fields(l); len(f) > 1 && product(f[1]) {
			add("link", strings.TrimSuffix(f[1], ":"))
		}
	}
	for _, dir := range []string{"/run/netns", "/run/systemd/nspawn/propagate", "/run/lock", "/run"} {
		names, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, n := range names {
			if product(n.Name()) {
				add("file", filepath.Join(dir, n.Name()))
			}
		}
	}
	for _, l := range strings.Split(output(t, "nft", "list", "tables"), "\n") {
		if f := strings.Fields(l); len(f) == 3 && product(f[2]) {
			add("nftables table", f[2])
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range strings.Split(string(mounts), "\n") {
		f := strings.Fields(l)
		if len(f) > 4 && (f[4] == s.State || strings.HasPrefix(f[4], s.State+"/") || strings.HasPrefix(f[4], "/var/lib/slipway") || strings.HasPrefix(f[4], "/run/slipway")) {
			add("mount", f[4])
		}
	}
	for _, pid := range processes(t) {
		if program, ours := s.ours(pid); ours {
			add("process", fmt.Sprintf("%d %s", pid, program))
		}
	}
	filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && ownGroup(d.Name()) {
			add("cgroup", path)
			return fs.SkipDir
		}
		return nil
	})
	if _, err := os.Stat(s.State); err == nil {
		add("directory", s.State)
	}
	return found
}

// ownGroup reports whether a cgroup is one that the product makes on the host. Units of nodes,
// such as slipway-agent.service, are inside of those, and also in the nodes of other tests.
func ownGroup(name string) bool {
	return strings.HasPrefix(name, "slip-") || strings.HasPrefix(name, "slipwayd")
}

// ours reports whether a process is slipwayd, in a container of the local cloud, or watches
// over one.
func (s *System) ours(pid int) (program string, yes bool) {
	argv := commandLine(pid)
	if len(argv) == 0 {
		return "", false
	}
	program = filepath.Base(argv[0])
	if program == "slipwayd" || slices.ContainsFunc(argv, func(a string) bool { return strings.Contains(a, s.State) }) {
		return program, pid != os.Getpid()
	}
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	return program, strings.Contains(string(b), "/slip-")
}

func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		t.Fatalf("%s %s: %v", name, strings.Join(args, " "), err)
	}
	return string(out)
}
