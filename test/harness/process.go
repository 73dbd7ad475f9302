package harness

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Processes returns the ids of the node's processes that execute a program of that name.
func (s Server) Processes(t *testing.T, program string) []int {
	t.Helper()
	want, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", s.PID))
	if err != nil {
		t.Fatal(err)
	}
	var found []int
	for _, pid := range processes(t) {
		space, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/pid", pid))
		if err != nil || space != want {
			continue
		}
		exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
		if err == nil && filepath.Base(strings.TrimSuffix(exe, " (deleted)")) == program {
			found = append(found, pid)
		}
	}
	return found
}

// processes are the ids of all processes of the host.
func processes(t *testing.T) []int {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// commandLine returns the arguments of a process; none when it is gone.
func commandLine(pid int) []string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || len(b) == 0 {
		return nil
	}
	var argv []string
	for _, a := range bytes.Split(bytes.TrimSuffix(b, []byte{0}), []byte{0}) {
		argv = append(argv, string(a))
	}
	return argv
}

// cgroups are the cgroups of a process, one in each hierarchy, as paths from its root.
func cgroups(pid int) []string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return nil
	}
	var paths []string
	for l := range strings.Lines(string(b)) {
		if f := strings.SplitN(strings.TrimSpace(l), ":", 3); len(f) == 3 {
			paths = append(paths, f[2])
		}
	}
	return paths
}

// parent returns the id of a process's parent, 0 when the process is gone.
func parent(pid int) int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// The name, field 2, is in parentheses and may hold anything; field 4 is the parent.
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(fields) < 2 {
		return 0
	}
	id, _ := strconv.Atoi(string(fields[1]))
	return id
}

// ancestors are the test's own process and those that it descends from: their command lines
// may name anything.
func ancestors() []int {
	var pids []int
	for pid := os.Getpid(); pid > 0; pid = parent(pid) {
		pids = append(pids, pid)
	}
	return pids
}

// outermost leaves out those processes whose parent is among them: a process that has been
// forked and not yet executed its own program still has its parent's command line.
func outermost(pids []int) []int {
	return slices.DeleteFunc(slices.Clone(pids), func(pid int) bool { return slices.Contains(pids, parent(pid)) })
}

// Containers are the names of the containers of the local cloud that run, servers and load
// balancers, one for each systemd-nspawn.
func Containers(t *testing.T) []string {
	t.Helper()
	machines := map[int]string{}
	var pids []int
	for _, pid := range processes(t) {
		argv := commandLine(pid)
		if len(argv) == 0 || filepath.Base(argv[0]) != "systemd-nspawn" {
			continue
		}
		if machine, _ := argument(argv, "--machine"); product(machine) {
			machines[pid] = machine
			pids = append(pids, pid)
		}
	}
	var names []string
	for _, pid := range outermost(pids) {
		names = append(names, machines[pid])
	}
	return names
}
