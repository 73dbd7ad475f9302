//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"slipway.build/slipway/test/harness"
)

// process is a process of the host, seen through /proc.
type process struct {
	pid    int
	status map[string]string
}

// find returns the process with that program name among those of the node.
func find(t *testing.T, n harness.Server, program string) process {
	t.Helper()
	pids := n.Processes(t, program)
	if len(pids) == 0 {
		t.Fatalf("no process %s on %s", program, n.Name)
	}
	return process{pids[0], status(t, pids[0])}
}

func status(t *testing.T, pid int) map[string]string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := map[string]string{}
	for _, l := range strings.Split(string(b), "\n") {
		if key, value, ok := strings.Cut(l, ":"); ok {
			fields[key] = strings.TrimSpace(value)
		}
	}
	return fields
}

// isolated checks what the kernel says of a component's process: design.md, section 3.
func (p process) isolated(t *testing.T, binary string) {
	t.Helper()
	for _, uid := range strings.Fields(p.status["Uid"]) {
		if uid == "0" {
			t.Errorf("it has root among its user ids: %s", p.status["Uid"])
		}
	}
	for _, set := range []string{"CapEff", "CapPrm", "CapBnd", "CapAmb"} {
		if strings.Trim(p.status[set], "0") != "" {
			t.Errorf("%s is %s, want none", set, p.status[set])
		}
	}
	if p.status["NoNewPrivs"] != "1" {
		t.Errorf("NoNewPrivs is %q", p.status["NoNewPrivs"])
	}
	if p.status["Seccomp"] != "2" {
		t.Errorf("Seccomp is %q, want 2 (filter)", p.status["Seccomp"])
	}
	root := fmt.Sprintf("/proc/%d/root", p.pid)
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	// bin is systemd's link to usr/bin, root an empty directory; it makes both in every root.
	allowed := []string{"usr", "bin", "root", "proc", "sys", "dev", "run", "tmp", "etc", "var", "slipway-agent", "exec.json"}
	for _, e := range entries {
		if !slices.Contains(allowed, e.Name()) {
			t.Errorf("its root holds /%s", e.Name())
		}
	}
	programs, err := os.ReadDir(filepath.Join(root, "usr/bin"))
	if err != nil || len(programs) != 1 || programs[0].Name() != binary {
		t.Errorf("its /usr/bin holds %v (%v), want only %s", programs, err, binary)
	}
	if !p.readOnlyRoot(t) {
		t.Error("its root is not read-only")
	}
	p.limited(t)
}

func (p process) readOnlyRoot(t *testing.T) bool {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", p.pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range strings.Split(string(b), "\n") {
		if f := strings.Fields(l); len(f) > 5 && f[4] == "/" {
			return slices.Contains(strings.Split(f[5], ","), "ro")
		}
	}
	return false
}

// limited reads the limits of memory and of tasks where the kernel keeps them: the cgroup of
// the process itself. Unit properties would only say what was asked for.
func (p process) limited(t *testing.T) {
	t.Helper()
	memory := p.limit(t, "memory", "memory.limit_in_bytes", "memory.max")
	if memory <= 0 || memory > 1<<40 {
		t.Errorf("its memory is not limited in the kernel: %d bytes", memory)
	}
	tasks := p.limit(t, "pids", "pids.max", "pids.max")
	if tasks <= 0 {
		t.Errorf("its tasks are not limited in the kernel: %d", tasks)
	}
}

// limit returns a limit of the cgroup that the process is in, or 0 when it says "max". The
// cgroup is named as the host sees it; a v1 hybrid has one per controller, v2 one for all.
func (p process) limit(t *testing.T, controller, v1, v2 string) int64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", p.pid))
	if err != nil {
		t.Fatal(err)
	}
	name := ""
	for _, l := range strings.Split(string(b), "\n") {
		f := strings.SplitN(l, ":", 3)
		if len(f) != 3 {
			continue
		}
		if slices.Contains(strings.Split(f[1], ","), controller) {
			name = filepath.Join("/sys/fs/cgroup", controller, f[2], v1)
			break
		}
		if f[1] == "" && name == "" {
			name = filepath.Join("/sys/fs/cgroup", f[2], v2)
		}
	}
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	value := strings.TrimSpace(string(text))
	if value == "max" {
		return 0
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}
