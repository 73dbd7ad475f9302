package launch

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// outermost returns the process whose parent is none of them: the one that watches over the
// others.
func outermost(pids []int) (int, bool) {
	for _, pid := range pids {
		fields, err := status(pid)
		if err != nil {
			continue
		}
		parent, err := strconv.Atoi(fields["PPid"])
		if err == nil && !slices.Contains(pids, parent) {
			return pid, true
		}
	}
	return 0, false
}

// Init returns, out of the processes of a container that systemd-nspawn runs, the container's
// own process 1, or false while there is none.
func Init(pids []int) (int, bool) {
	for _, pid := range pids {
		fields, err := status(pid)
		if err != nil {
			continue
		}
		ids := strings.Fields(fields["NSpid"])
		if len(ids) < 2 || ids[len(ids)-1] != "1" {
			continue
		}
		parent, err := strconv.Atoi(fields["PPid"])
		if err != nil {
			continue
		}
		if of, err := status(parent); err == nil && of["Name"] == "systemd-nspawn" {
			return pid, true
		}
	}
	return 0, false
}

// status reads /proc/<pid>/status.
func status(pid int) (map[string]string, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return nil, err
	}
	fields := map[string]string{}
	for line := range bytes.Lines(data) {
		if key, value, ok := strings.Cut(string(line), ":"); ok {
			fields[key] = strings.TrimSpace(value)
		}
	}
	return fields, nil
}
