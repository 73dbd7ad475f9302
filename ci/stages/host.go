package stages

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"slipway.build/slipway/ci/pipeline"
	"slipway.build/slipway/imagebuild/buildcache"
)

// claimLock is held by whoever has the product's names on this machine for a test: tests hold it,
// too.
const claimLock = "/run/lock/sliptest.lock"

// testStates is how the state directories of tests begin.
const testStates = "/var/lib/sliptest-"

// claim takes the machine for a cluster, which fails while a Slipway runs that is no test's.
func claim(ctx context.Context, s *pipeline.Step, state string) (release func(), err error) {
	if os.Getuid() != 0 {
		return nil, s.Unproven("a cluster on this machine needs root")
	}
	release, err = buildcache.Exclusive(ctx, claimLock, func() { s.Say("waits for a test that has the machine") })
	if err != nil {
		return nil, err
	}
	found, err := others(state)
	if err == nil && len(found) > 0 {
		err = fmt.Errorf("another Slipway runs on this machine (%s): end it first, with `slipway down` and its state directory", strings.Join(found, ", "))
	}
	if err != nil {
		release()
		return nil, err
	}
	return release, nil
}

// others names the slipwayds and nodes of Slipways that are neither a test's nor of this state.
func others(state string) ([]string, error) {
	pids, err := processes()
	if err != nil {
		return nil, err
	}
	var found []string
	for _, pid := range pids {
		argv := commandLine(pid)
		if len(argv) == 0 {
			continue
		}
		flag := map[string]string{"slipwayd": "--state", "systemd-nspawn": "--directory"}[filepath.Base(argv[0])]
		if flag == "" {
			continue
		}
		dir := argument(argv, flag)
		machine := argument(argv, "--machine")
		node := strings.HasPrefix(machine, "slip") && !strings.HasPrefix(machine, "slipt")
		if flag == "--directory" && !node || dir == state || strings.HasPrefix(dir, state+"/") || strings.HasPrefix(dir, testStates) {
			continue
		}
		found = append(found, strings.TrimSpace(fmt.Sprintf("%s %s of %s", filepath.Base(argv[0]), machine, dir)))
	}
	return found, nil
}

// processes lists the processes of this machine.
func processes() ([]int, error) {
	names, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var all []int
	for _, n := range names {
		if pid, err := strconv.Atoi(n.Name()); err == nil {
			all = append(all, pid)
		}
	}
	return all, nil
}

// commandLine is empty for a process that is gone, and for the kernel's.
func commandLine(pid int) []string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || len(text) == 0 {
		return nil
	}
	var all []string
	for _, a := range bytes.Split(bytes.TrimRight(text, "\x00"), []byte{0}) {
		all = append(all, string(a))
	}
	return all
}

// argument returns what follows a flag on a command line, in either of its two forms.
func argument(argv []string, flag string) string {
	for i, a := range argv {
		if a == flag && i+1 < len(argv) {
			return argv[i+1]
		}
		if v, ok := strings.CutPrefix(a, flag+"="); ok {
			return v
		}
	}
	return ""
}
