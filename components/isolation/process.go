// Package isolation reads what the kernel says about a process: whose it is, what it may do, what
// it sees and where it is accounted. Tests and benchmarks of isolation use it, because the
// properties of a unit or container only say what was asked for.
package isolation

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Process is one process as /proc shows it.
type Process struct {
	PID        int
	Parent     int
	UIDs       []string          // real, effective, saved, of the file system
	Caps       map[string]uint64 // CapInh, CapPrm, CapEff, CapBnd, CapAmb
	NoNewPrivs bool
	Seccomp    bool // a filter is in place
	Mounts     []Mount
	Cgroups    map[string]string // path by controller; "" is the unified hierarchy's
	Namespaces map[string]string // identity by kind: mnt, net, pid, ipc, uts, user, cgroup
}

// Mount is one mount that a process sees.
type Mount struct {
	Point    string
	Writable bool
}

// Read reads a process.
func Read(pid int) (*Process, error) {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	status, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return nil, err
	}
	p := &Process{PID: pid, Caps: map[string]uint64{}, Cgroups: map[string]string{}, Namespaces: map[string]string{}}
	for line := range strings.Lines(string(status)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		value = strings.TrimSpace(value)
		switch {
		case key == "PPid":
			p.Parent, err = strconv.Atoi(value)
		case key == "Uid":
			p.UIDs = strings.Fields(value)
		case key == "NoNewPrivs":
			p.NoNewPrivs = value == "1"
		case key == "Seccomp":
			p.Seccomp = value == "2"
		case strings.HasPrefix(key, "Cap"):
			p.Caps[key], err = strconv.ParseUint(value, 16, 64)
		}
		if err != nil {
			return nil, fmt.Errorf("process %d: %s: %w", pid, key, err)
		}
	}
	if err := p.mounts(filepath.Join(dir, "mountinfo")); err != nil {
		return nil, err
	}
	cgroups, err := os.ReadFile(filepath.Join(dir, "cgroup"))
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(cgroups)) {
		if f := strings.SplitN(strings.TrimSpace(line), ":", 3); len(f) == 3 {
			for _, controller := range strings.Split(f[1], ",") {
				p.Cgroups[controller] = f[2]
			}
		}
	}
	for _, kind := range []string{"mnt", "net", "pid", "ipc", "uts", "user", "cgroup"} {
		if p.Namespaces[kind], err = os.Readlink(filepath.Join(dir, "ns", kind)); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// mounts reads proc_pid_mountinfo(5): the fifth field is the mount point, the sixth its options.
func (p *Process) mounts(name string) error {
	raw, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(raw)) {
		const point, options = 4, 5
		if f := strings.Fields(line); len(f) > options {
			p.Mounts = append(p.Mounts, Mount{Point: f[point], Writable: slices.Contains(strings.Split(f[options], ","), "rw")})
		}
	}
	return nil
}

// Root reports whether any of the process's user ids is root's.
func (p *Process) Root() bool { return slices.Contains(p.UIDs, "0") }

// ReadOnlyRoot reports whether the process's root is mounted read-only. The last mount on it
// counts.
func (p *Process) ReadOnlyRoot() bool {
	for _, m := range slices.Backward(p.Mounts) {
		if m.Point == "/" {
			return !m.Writable
		}
	}
	return false
}

// Unit is the name of the systemd unit in whose cgroup the process is.
func (p *Process) Unit() string {
	path := p.Cgroups["name=systemd"]
	if path == "" {
		path = p.Cgroups[""]
	}
	return filepath.Base(path)
}

// Memory and Tasks are the limits of the cgroup that the process is in, as the kernel has them;
// 0 means that there is none.
func (p *Process) Memory() (int64, error) {
	n, err := p.limit("memory", "memory.limit_in_bytes", "memory.max")
	const unlimited = 1 << 60 // v1 says so by a number near the largest
	if n > unlimited {
		n = 0
	}
	return n, err
}

// Tasks is the limit of processes and threads.
func (p *Process) Tasks() (int64, error) { return p.limit("pids", "pids.max", "pids.max") }

func (p *Process) limit(controller, v1, v2 string) (int64, error) {
	name := filepath.Join("/sys/fs/cgroup", p.Cgroups[""], v2)
	if path, ok := p.Cgroups[controller]; ok {
		name = filepath.Join("/sys/fs/cgroup", controller, path, v1)
	}
	raw, err := os.ReadFile(name)
	if err != nil {
		return 0, err
	}
	text := strings.TrimSpace(string(raw))
	if text == "max" {
		return 0, nil
	}
	return strconv.ParseInt(text, 10, 64)
}
