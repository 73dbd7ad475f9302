package heat_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"slipway.build/slipway/agent/heat"
	"slipway.build/slipway/agent/heat/testcloud"
)

// Variables by which a test starts this program as an agent that dies at a given step.
const (
	envDir  = "SLIPWAY_TEST_HEAT_DIR"
	envStep = "SLIPWAY_TEST_HEAT_STEP"
)

func TestMain(m *testing.M) {
	dir := os.Getenv(envDir)
	if dir == "" {
		os.Exit(m.Run())
	}
	config := place(dir)
	config.Reached = func(step string) {
		if step == os.Getenv(envStep) {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	if err := heat.Run(context.Background(), config, slog.New(slog.NewTextHandler(os.Stderr, nil))); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// process starts an agent as a process of its own; it ends with the test at the latest.
func (r *rig) process(step string) *exec.Cmd {
	r.t.Helper()
	cmd := exec.CommandContext(r.t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), envDir+"="+r.dir, envStep+"="+step)
	cmd.Stderr = &r.log
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd
}

// died waits until an agent has died of SIGKILL.
func (r *rig) died(cmd *exec.Cmd) {
	r.t.Helper()
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-ended:
	case <-time.After(4 * time.Minute):
		_ = cmd.Process.Kill()
		<-ended
		r.t.Fatalf("the agent has not reached the step\n%s", r.log.String())
	}
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		r.t.Fatalf("the agent ended with %s\n%s", cmd.ProcessState, r.log.String())
	}
}

func TestADeathAtAnyStepLosesNoResultAndRunsNothingTwice(t *testing.T) {
	if testing.Short() {
		t.Skip("short: many processes, which the race detector does not see anyway")
	}
	for _, test := range []struct {
		step       string
		idempotent bool
		status     string
		runs       int
	}{
		{"accepted", false, testcloud.Complete, 1},
		{"marked", false, testcloud.Complete, 1},
		{"started", false, testcloud.Failed, 0},
		{"started", true, testcloud.Complete, 1},
		{"ran", false, testcloud.Failed, 1},
		{"ran", true, testcloud.Complete, 2},
		{"finished", false, testcloud.Complete, 1},
		{"noted", false, testcloud.Complete, 1},
		{"sent", false, testcloud.Complete, 1},
		{"told", false, testcloud.Complete, 1},
		{"committed", false, testcloud.Complete, 1},
	} {
		t.Run(fmt.Sprintf("%s, idempotent %v", test.step, test.idempotent), func(t *testing.T) {
			r := newRig(t)
			r.boot(r.cloud.HeatSection())
			r.cloud.Deploy(testcloud.Deployment{ID: "d", Config: r.counting("d", "echo out"), Options: map[string]any{"idempotent": test.idempotent}})
			r.died(r.process(test.step))
			r.process("")
			result := r.cloud.AwaitResult("d")
			if result.Status != test.status || r.runs("d") != test.runs {
				t.Errorf("ran %d times, %+v", r.runs("d"), result)
			}
			// A second deployment shows that the agent goes on, and gives a second result its chance.
			r.cloud.Deploy(testcloud.Deployment{ID: "e", Config: r.counting("e", "")})
			r.cloud.AwaitResult("e")
			if again := r.cloud.Result("d"); again.Status != test.status || r.runs("d") != test.runs || len(again.Signals) > 2 {
				t.Errorf("later it ran %d times, %+v", r.runs("d"), again)
			}
		})
	}
}

func TestADeathBetweenKeepingTheNewsAndTakingThemOffTheQueueLosesNone(t *testing.T) {
	r := newRig(t)
	r.boot(r.cloud.ZaqarSection())
	r.cloud.Deploy(testcloud.Deployment{ID: "d", Config: r.counting("d", "")})
	r.died(r.process("kept"))
	r.process("")
	if result := r.cloud.AwaitResult("d"); result.Status == "" {
		t.Errorf("%+v", result)
	}
	r.cloud.Await("an empty queue", func() bool { return r.cloud.Queued(testcloud.Queue) == 0 })
}

func TestAScriptDiesWithItsAgent(t *testing.T) {
	r := newRig(t)
	r.boot(r.cloud.HeatSection())
	r.cloud.Deploy(testcloud.Deployment{ID: "d", Config: "#!/bin/sh\necho $$ > " + filepath.Join(r.dir, "pid") + "\nwhile :; do sleep 0.05; done"})
	agent := r.process("")
	r.await("the script", func(*status) bool { return r.read("pid") != "" })
	if err := agent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	stat := filepath.Join("/proc", strings.TrimSpace(r.read("pid")), "stat")
	deadline := time.Now().Add(time.Minute)
	for {
		raw, err := os.ReadFile(stat)
		if err != nil || strings.Contains(string(raw), ") Z ") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("it goes on, and nobody watches it")
		}
		time.Sleep(time.Millisecond)
	}
}
