package debug

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// listener says who listens on a TCP port of this machine, "" when nobody does.
func listener(port int) string {
	inode := listening(port)
	if inode == "" {
		return ""
	}
	want := "socket:[" + inode + "]"
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, fd := range fds {
		if target, err := os.Readlink(fd); err != nil || target != want {
			continue
		}
		pid := strings.Split(fd, "/")[2]
		text := "process " + pid
		if name, err := os.ReadFile("/proc/" + pid + "/comm"); err == nil {
			text += " (" + strings.TrimSpace(string(name)) + ")"
		}
		if unit := unitOfProcess(pid); unit != "" {
			text += " of " + unit
		}
		return text
	}
	return "a process that cannot be seen from here"
}

// listening returns the inode of the socket that listens on a port (proc(5), /proc/net/tcp).
func listening(port int) string {
	const (
		listen     = "0A"
		fieldLocal = 1
		fieldState = 3
		fieldInode = 9
	)
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		raw, err := os.ReadFile(table)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(raw)) {
			fields := strings.Fields(line)
			if len(fields) <= fieldInode || fields[fieldState] != listen {
				continue
			}
			if strings.HasSuffix(fields[fieldLocal], fmt.Sprintf(":%04X", port)) {
				return fields[fieldInode]
			}
		}
	}
	return ""
}

// unitOfProcess returns the systemd unit whose cgroup a process is in, "" for none.
func unitOfProcess(pid string) string {
	if _, err := strconv.Atoi(pid); err != nil {
		return ""
	}
	raw, err := os.ReadFile("/proc/" + pid + "/cgroup")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(raw)) {
		for _, part := range strings.Split(strings.TrimSpace(line), "/") {
			if strings.HasSuffix(part, ".service") || strings.HasSuffix(part, ".scope") {
				return part
			}
		}
	}
	return ""
}
