package harness

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
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

// Containers are the names of the containers of the local cloud that run, servers and load
// balancers, one for each systemd-nspawn.
func Containers(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, pid := range processes(t) {
		argv := commandLine(pid)
		if len(argv) == 0 || filepath.Base(argv[0]) != "systemd-nspawn" {
			continue
		}
		for _, a := range argv {
			if name, ok := strings.CutPrefix(a, "--machine=slip-"); ok {
				names = append(names, name)
			}
		}
	}
	return names
}
