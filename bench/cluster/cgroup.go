package main

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// cgroup returns the processor time in seconds and the memory in bytes of the node that the
// process is the first of: of the cgroup of the whole node, which its name begins with "slip".
func cgroup(pid int) (processor float64, memory int64, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return 0, 0, err
	}
	paths := map[string]string{} // by controller; "" is the unified hierarchy
	for _, l := range strings.Split(strings.TrimSpace(string(b)), "\n") {
		f := strings.SplitN(l, ":", 3)
		if len(f) != 3 {
			continue
		}
		for _, controller := range strings.Split(f[1], ",") {
			paths[controller] = whole(f[2])
		}
	}
	if p, ok := paths["cpuacct"]; ok {
		ns, err := number(filepath.Join("/sys/fs/cgroup/cpuacct", p, "cpuacct.usage"))
		if err != nil {
			return 0, 0, err
		}
		memory, err = number(filepath.Join("/sys/fs/cgroup/memory", paths["memory"], "memory.usage_in_bytes"))
		return float64(ns) / 1e9, memory, err
	}
	unified := filepath.Join("/sys/fs/cgroup", paths[""])
	stat, err := os.ReadFile(filepath.Join(unified, "cpu.stat"))
	if err != nil {
		return 0, 0, err
	}
	for _, l := range strings.Split(string(stat), "\n") {
		if text, ok := strings.CutPrefix(l, "usage_usec "); ok {
			us, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				return 0, 0, err
			}
			processor = float64(us) / 1e6
		}
	}
	memory, err = number(filepath.Join(unified, "memory.current"))
	return processor, memory, err
}

// whole cuts a cgroup's path after the part that is the node: the first one named slip….
func whole(p string) string {
	parts := strings.Split(p, "/")
	for i, part := range parts {
		if strings.HasPrefix(part, "slip") {
			// A slice or a parent of all nodes may come before the node's own cgroup.
			if i+1 < len(parts) && strings.HasPrefix(parts[i+1], "slip") {
				continue
			}
			return path.Join(parts[:i+1]...)
		}
	}
	return p
}

func number(name string) (int64, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
}
