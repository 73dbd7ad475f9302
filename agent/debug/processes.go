package debug

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"slipway.build/slipway/agent/plan"
)

// processes hashes the program of every process of every unit that has a component: its main
// process must be slipway-exec of the OS layer, that one's child the component, and whatever else runs from a
// component's root must be in the signed lock. Programs of the node itself are not the lock's.
func (v *verification) processes(ctx context.Context) {
	byUnit := processesByUnit()
	supervisor := v.sum(plan.ExecBinary)
	for _, unit := range v.checked.Plan.Units {
		if unit.Exec == nil {
			continue
		}
		status, err := v.n.Systemd.Status(ctx, unit.Name)
		if err != nil {
			return // said already
		}
		binary, _ := v.checked.Platforms[unit.Exec.Image].File(unit.Exec.Binary)
		allowed := v.allowed(unit.Exec)
		main := strconv.FormatUint(uint64(status.MainPID), 10)
		children := childrenOf(main)
		for _, pid := range byUnit[unit.Name] {
			what := fmt.Sprintf("unit %s process %s", unit.Name, pid)
			found := v.sum("/proc/" + pid + "/exe")
			if _, err := os.Stat("/proc/" + pid); errors.Is(err, fs.ErrNotExist) {
				continue // it has ended meanwhile
			}
			switch {
			case pid == main:
				v.add(ClassProcess, what+" (slipway-exec)", supervisor, found)
			case slices.Contains(children, pid):
				v.add(ClassProcess, what, binary.SHA256, found)
			case allowed[found]:
				v.add(ClassProcess, what, found, found)
			case v.ofTheNode(pid):
			default:
				v.add(ClassProcess, what, "a program of the signed lock", found)
			}
		}
	}
}

// allowed are the sums of what may run in a component's unit by the lock.
func (v *verification) allowed(exec *plan.Exec) map[string]bool {
	out := map[string]bool{}
	for _, image := range append([]string{exec.Image}, exec.Tools...) {
		for _, file := range v.checked.Platforms[image].Files {
			out[file.SHA256] = true
		}
	}
	return out
}

// ofTheNode reports whether a process runs a program of the node's own root, outside of what the
// agent keeps.
func (v *verification) ofTheNode(pid string) bool {
	ours, err1 := os.Stat("/")
	theirs, err2 := os.Stat("/proc/" + pid + "/root")
	exe, err3 := os.Readlink("/proc/" + pid + "/exe")
	if errors.Join(err1, err2, err3) != nil {
		return false
	}
	return os.SameFile(ours, theirs) && !strings.HasPrefix(exe, v.n.Root+"/")
}

// processesByUnit lists all processes by the unit whose cgroup they are in.
func processesByUnit() map[string][]string {
	out := map[string][]string{}
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		pid := filepath.Base(dir)
		if unit := unitOfProcess(pid); unit != "" {
			out[unit] = append(out[unit], pid)
		}
	}
	return out
}

// childrenOf returns the direct children of a process (proc_pid_task(5)).
func childrenOf(pid string) []string {
	tasks, err := filepath.Glob("/proc/" + pid + "/task/*/children")
	if err != nil {
		return nil
	}
	var out []string
	for _, task := range tasks {
		raw, err := os.ReadFile(task)
		if err == nil {
			out = append(out, strings.Fields(string(raw))...)
		}
	}
	return out
}
