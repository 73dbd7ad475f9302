package run

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// memoryGroup returns the directory of our unit's cgroup that accounts for memory, and the file
// in it that counts the kernel's kills: cgroup v2's memory.events, or v1's memory.oom_control.
func memoryGroup() (dir, events string) {
	raw, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", ""
	}
	for line := range strings.Lines(string(raw)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		switch {
		case parts[1] == "memory":
			return filepath.Join("/sys/fs/cgroup/memory", parts[2]), "memory.oom_control"
		case parts[0] == "0" && parts[1] == "":
			dir, events = filepath.Join("/sys/fs/cgroup", parts[2]), "memory.events"
		}
	}
	return dir, events
}

// memoryKills returns how many processes of our unit the kernel killed for memory so far; -1
// when it does not say.
func memoryKills() int {
	dir, events := memoryGroup()
	raw, err := os.ReadFile(filepath.Join(dir, events))
	if err != nil {
		return -1
	}
	return counter(string(raw), "oom_kill")
}

func counter(text, name string) int {
	for line := range strings.Lines(text) {
		if fields := strings.Fields(line); len(fields) == 2 && fields[0] == name {
			if n, err := strconv.Atoi(fields[1]); err == nil {
				return n
			}
		}
	}
	return -1
}

// memoryLimit says our unit's limit in words.
func memoryLimit() string {
	dir, _ := memoryGroup()
	for _, name := range []string{"memory.max", "memory.limit_in_bytes"} {
		raw, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			continue
		}
		const mebi = 1 << 20
		if bytes, err := strconv.ParseInt(strings.TrimSpace(string(raw)), 10, 64); err == nil && bytes < 1<<60 {
			return fmt.Sprintf("at its unit's limit of %d MiB", bytes/mebi)
		}
	}
	return "at the node's limit"
}
