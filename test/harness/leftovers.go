package harness

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// Leftovers lists what of a Slipway is on this machine, without asking Slipway: links, files
// in /run (network name spaces among them), nftables tables, mounts, processes, cgroups and the
// state directory. All that Slipway makes on a host has a name that begins with "slip".
func (s *System) Leftovers(t *testing.T) []string {
	t.Helper()
	var found []string
	add := func(kind, name string) { found = append(found, kind+" "+name) }

	for l := range strings.Lines(output(t, "ip", "-o", "link")) {
		if f := strings.Fields(l); len(f) > 1 && product(f[1]) {
			name, _, _ := strings.Cut(strings.TrimSuffix(f[1], ":"), "@")
			add("link", name)
		}
	}
	for _, dir := range []string{"/run", "/run/lock", "/run/netns", "/run/systemd/nspawn/propagate", "/run/systemd/nspawn/unix-export"} {
		names, err := os.ReadDir(dir)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		for _, n := range names {
			if product(n.Name()) {
				add("file", filepath.Join(dir, n.Name()))
			}
		}
	}
	for l := range strings.Lines(output(t, "nft", "list", "tables")) {
		if f := strings.Fields(l); len(f) == 3 && product(f[2]) {
			add("nftables table", f[2])
		}
	}
	all := mounts(t)
	for _, m := range all {
		if s.ownMount(m.point) {
			add("mount", m.point)
		}
	}
	above := ancestors()
	for _, pid := range processes(t) {
		if program, ours := s.leftover(pid); ours && !slices.Contains(above, pid) {
			add("process", fmt.Sprintf("%d %s", pid, program))
		}
	}
	for _, dir := range hierarchies(all) {
		for _, group := range ownGroups(dir, dir) {
			add("cgroup", group)
		}
	}
	if _, err := os.Stat(s.State); err == nil {
		add("directory", s.State)
	}
	return found
}

// ownGroups lists the product's cgroups in a directory of a hierarchy, and in the slices there.
func ownGroups(hierarchy, dir string) []string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil // it went while we looked
	}
	var found []string
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		switch {
		case !e.IsDir():
		case ownGroup(strings.TrimPrefix(path, hierarchy)):
			found = append(found, path)
		case strings.HasSuffix(e.Name(), ".slice"):
			found = append(found, ownGroups(hierarchy, path)...)
		}
	}
	return found
}

// leftover reports whether a process is part of a Slipway: a program of it, something in a
// container of the local cloud, what watches over one, or a tool at work on the state
// directory. A slipway-agent in a node of a single package's test is not.
func (s *System) leftover(pid int) (program string, yes bool) {
	argv := commandLine(pid)
	if len(argv) == 0 {
		return "", false // it is gone, or a thread of the kernel
	}
	program = filepath.Base(argv[0])
	groups := cgroups(pid)
	switch {
	case slices.ContainsFunc(groups, ownGroup), program == "slipwayd":
		return program, true
	case program == "slipway-agent":
		return program, !slices.ContainsFunc(groups, testGroup)
	case program == "systemd-nspawn":
		if machine, _ := argument(argv, "--machine"); product(machine) {
			return program, true
		}
	}
	return program, slices.ContainsFunc(argv, func(a string) bool { return strings.Contains(a, s.State) })
}

// others names what runs of Slipways that are no test's. Their names on the host are ours too,
// so that `slipway down` would take them away.
func (s *System) others(t *testing.T) []string {
	t.Helper()
	var found []string
	for _, pid := range processes(t) {
		if name := s.foreign(commandLine(pid)); name != "" {
			found = append(found, name)
		}
	}
	return found
}

// foreign names the process with that command line when it is the slipwayd or a container of
// another Slipway, unless that is an earlier test's: who claims has the machine's tests to
// itself, so that the test has been killed.
func (s *System) foreign(argv []string) string {
	if state, ok := daemonState(argv); ok && state != s.State && !testState(state) {
		return "slipwayd of " + state
	}
	if len(argv) == 0 || filepath.Base(argv[0]) != "systemd-nspawn" {
		return ""
	}
	machine, _ := argument(argv, "--machine")
	dir, _ := argument(argv, "--directory")
	if product(machine) && !below(dir, s.State) && !testState(dir) {
		return machine + " in " + dir
	}
	return ""
}

func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := try(time.Minute, nil, name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
