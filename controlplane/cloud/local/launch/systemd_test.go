package launch

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/controlplane/cloud/local/launch/cgroup"
)

func TestTheTransientUnitHasTheLimitsAndLeavesItsGroupToTheCommand(t *testing.T) {
	got := map[string]any{}
	for _, p := range properties(Spec{Name: "n", Command: []string{"/bin/true"}, Log: "/log", Limits: cgroup.Limits{Memory: 1 << 30, CPUs: 2}, RestartOn: 133}) {
		got[p.Name] = p.Value.Value()
	}
	for name, want := range map[string]any{
		"Delegate": true, "MemoryMax": uint64(1 << 30), "CPUQuotaPerSecUSec": uint64(2e6), "KillMode": "mixed", "StandardOutputFileToAppend": "/log",
	} {
		if got[name] != want {
			t.Errorf("%s = %v, want %v", name, got[name], want)
		}
	}
	if _, ok := got["RestartForceExitStatus"]; !ok {
		t.Error("nothing starts the command again after a reboot")
	}
}

// The compute package runs this test inside a node too, where systemd is process 1.
func TestWhereSystemdIsProcessOneACommandIsATransientUnit(t *testing.T) {
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		t.Skip("systemd is not process 1 here; package compute runs this test in a node")
	}
	detected, err := Detect()
	if err != nil {
		t.Fatal(err)
	}
	s, ok := detected.(*Systemd)
	if !ok {
		t.Fatalf("Detect() = %T", detected)
	}
	ctx := deadline(t)
	t.Cleanup(func() {
		names, _ := s.List(context.Background(), testPrefix)
		for _, name := range names {
			_ = s.Stop(deadline(t), name, 0)
		}
	})
	spec := sh(t, "unit", `trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done`)
	spec.Limits = cgroup.Limits{Memory: 64 << 20, CPUs: 1}
	if running, err := s.Running(ctx, spec.Name); running || err != nil {
		t.Fatalf("before its start: %v, %v", running, err)
	}
	if err := s.Stop(ctx, spec.Name, 0); err != nil {
		t.Errorf("stop of what never was: %v", err)
	}
	if err := s.Start(ctx, spec); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(ctx, spec); err == nil {
		t.Error("a second start of the same name succeeds")
	}
	until(t, "it is up", func() bool { log, _ := os.ReadFile(spec.Log); return string(log) == "up\n" })
	pids, err := s.Processes(ctx, spec.Name)
	if err != nil || len(pids) == 0 {
		t.Fatalf("processes: %v, %v", pids, err)
	}
	groups, err := os.ReadFile("/proc/" + strconv.Itoa(pids[0]) + "/cgroup")
	if err != nil || !strings.Contains(string(groups), spec.Name+".service") {
		t.Errorf("it is in %s, %v", groups, err)
	}
	if names, err := s.List(ctx, testPrefix); err != nil || len(names) != 1 || names[0] != spec.Name {
		t.Errorf("List: %v, %v", names, err)
	}
	if err := s.Stop(ctx, spec.Name, time.Minute); err != nil {
		t.Fatal(err)
	}
	if log, _ := os.ReadFile(spec.Log); string(log) != "up\nbye\n" {
		t.Errorf("log = %q", log)
	}
	stubborn := sh(t, "stubborn", `trap '' TERM; while :; do sleep 0.05; done`)
	if err := s.Start(ctx, stubborn); err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(ctx, stubborn.Name, 200*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	mark := filepath.Join(t.TempDir(), "mark")
	again := sh(t, "again", "")
	again.Command = []string{"/bin/sh", "-c", `echo up; [ -e "$0" ] && exit 0; : >"$0"; exit 133`, mark}
	again.RestartOn = 133
	if err := s.Start(ctx, again); err != nil {
		t.Fatal(err)
	}
	until(t, "it was started again", func() bool { log, _ := os.ReadFile(again.Log); return string(log) == "up\nup\n" })
	until(t, "nothing is left", func() bool { names, err := s.List(ctx, testPrefix); return err == nil && len(names) == 0 })
}
