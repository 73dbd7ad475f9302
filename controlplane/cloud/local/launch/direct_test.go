package launch

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/controlplane/cloud/local/launch/cgroup"
)

const testPrefix = "sliptlaunch-"

// direct returns a launcher, and clears what a killed run of these tests has left.
func direct(t *testing.T) *Direct {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("cgroups need root")
	}
	tree, err := cgroup.Discover()
	if err != nil {
		t.Fatal(err)
	}
	d := &Direct{Tree: tree}
	clear := func() {
		names, err := d.List(context.Background(), testPrefix)
		if err != nil {
			t.Error(err)
		}
		for _, name := range names {
			if err := d.Stop(deadline(t), name, 0); err != nil {
				t.Error(err)
			}
		}
	}
	clear()
	t.Cleanup(clear)
	return d
}

func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// until returns when ok is true, and fails the test after some minutes.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx := deadline(t)
	for !ok() {
		if ctx.Err() != nil {
			t.Fatalf("still waiting until %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func sh(t *testing.T, name, script string) Spec {
	return Spec{Name: testPrefix + name, Command: []string{"/bin/sh", "-c", script}, Log: filepath.Join(t.TempDir(), "log")}
}

func TestACommandRunsDetachedInItsOwnGroupAndIsFoundByName(t *testing.T) {
	d := direct(t)
	spec := sh(t, "detached", "id -g; sleep 1000 & sleep 1000")
	spec.Limits = cgroup.Limits{Memory: 64 << 20, CPUs: 1}
	if err := d.Start(deadline(t), spec); err != nil {
		t.Fatal(err)
	}
	until(t, "both sleeps run", func() bool {
		pids, err := d.Processes(deadline(t), spec.Name)
		if err != nil {
			t.Fatal(err)
		}
		return len(pids) == 4 // the supervisor, the shell and two sleeps
	})
	pids, _ := d.Processes(deadline(t), spec.Name)
	main, ok := outermost(pids)
	if !ok {
		t.Fatal("no outermost process")
	}
	fields, err := status(main)
	if err != nil {
		t.Fatal(err)
	}
	if fields["PPid"] == fmt.Sprint(os.Getpid()) {
		t.Error("the supervisor is still our child")
	}
	if log, _ := os.ReadFile(spec.Log); string(log) != "0\n" {
		t.Errorf("log = %q, want the group id 0", log)
	}
	if got := limit(t, d.Tree, pids[len(pids)-1], "memory"); got != "67108864" {
		t.Errorf("memory limit of the payload = %s", got)
	}
	if got := limit(t, d.Tree, pids[len(pids)-1], "cpu"); got != "100000" {
		t.Errorf("processor quota of the payload = %s", got)
	}
	if err := d.Start(deadline(t), spec); err == nil {
		t.Error("a second start of the same name succeeds")
	}
	if err := d.Stop(deadline(t), spec.Name, 0); err != nil {
		t.Fatal(err)
	}
	names, err := d.List(deadline(t), testPrefix)
	if err != nil || len(names) != 0 {
		t.Errorf("left: %v, %v", names, err)
	}
	if err := d.Stop(deadline(t), spec.Name, 0); err != nil {
		t.Errorf("stopping twice: %v", err)
	}
}

// limit reads a limit from the kernel's file for the group that pid really is in.
func limit(t *testing.T, tree cgroup.Tree, pid int, controller string) string {
	t.Helper()
	file := map[string]string{"memory": "memory.limit_in_bytes", "cpu": "cpu.cfs_quota_us"}[controller]
	if tree.Pure() {
		file = controller + ".max"
	}
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		part := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if part[1] != controller && !tree.Pure() {
			continue
		}
		for _, h := range tree.Hierarchies {
			if h.Unified == tree.Pure() && (h.Unified || slices.Contains(h.Controllers, controller)) {
				path := filepath.Join(h.Dir, part[2])
				if tree.Pure() {
					path = filepath.Dir(path)
				}
				value, err := os.ReadFile(filepath.Join(path, file))
				if err != nil {
					t.Fatal(err)
				}
				return strings.Fields(string(value))[0]
			}
		}
	}
	t.Fatalf("no %s controller for process %d", controller, pid)
	return ""
}

func TestStopAsksFirstAndKillsWhatDoesNotListen(t *testing.T) {
	d := direct(t)
	polite := sh(t, "polite", `trap 'echo bye; exit 0' TERM; while :; do sleep 0.05; done`)
	stubborn := sh(t, "stubborn", `trap '' TERM; while :; do sleep 0.05; done`)
	for _, spec := range []Spec{polite, stubborn} {
		if err := d.Start(deadline(t), spec); err != nil {
			t.Fatal(err)
		}
		until(t, "the command runs", func() bool { pids, _ := d.Processes(deadline(t), spec.Name); return len(pids) >= 3 })
	}
	if err := d.Stop(deadline(t), polite.Name, time.Minute); err != nil {
		t.Fatal(err)
	}
	if log, _ := os.ReadFile(polite.Log); string(log) != "bye\n" {
		t.Errorf("log = %q, want what the trap prints", log)
	}
	if err := d.Stop(deadline(t), stubborn.Name, 200*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if running, err := d.Running(deadline(t), stubborn.Name); running || err != nil {
		t.Errorf("still running: %v, %v", running, err)
	}
}

func TestTheRestartStatusStartsTheCommandAgain(t *testing.T) {
	d := direct(t)
	spec := sh(t, "again", "echo up")
	mark := filepath.Join(t.TempDir(), "mark")
	spec.Command = []string{"/bin/sh", "-c", `echo up; [ -e "$0" ] && exit 7; : >"$0"; exit 133`, mark}
	spec.RestartOn = 133
	if err := d.Start(deadline(t), spec); err != nil {
		t.Fatal(err)
	}
	until(t, "it has ended", func() bool { running, _ := d.Running(deadline(t), spec.Name); return !running })
	if log, _ := os.ReadFile(spec.Log); string(log) != "up\nup\n" {
		t.Errorf("log = %q, want two starts", log)
	}
}

func TestBadSpecsAreRefused(t *testing.T) {
	for name, spec := range map[string]Spec{
		"a name that is a path":   {Name: "../x", Command: []string{"/bin/true"}, Log: "/dev/null"},
		"no command":              {Name: "x", Log: "/dev/null"},
		"a relative command":      {Name: "x", Command: []string{"true"}, Log: "/dev/null"},
		"a relative path for log": {Name: "x", Command: []string{"/bin/true"}, Log: "log"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := spec.validate(); err == nil {
				t.Error("accepted")
			}
		})
	}
}
