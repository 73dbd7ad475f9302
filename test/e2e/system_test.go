//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// state is the test's own state directory: on a real file system, because nodes put overlays
// upon it.
const state = "/var/lib/sliptest-e2e"

// system is Slipway as this test has started it.
type system struct {
	root       string // of the repository
	kubeconfig string
	master     server
	worker     server
}

// server is one node as `slipway local servers -o json` shows it.
type server struct {
	Name  string `json:"name"`
	PID   int    `json:"pid"` // of its first process, as the host sees it
	State string `json:"state"`
}

// repository is the root of the clone that the test was built in.
func repository(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Dir(strings.TrimSpace(string(out)))
}

// run executes a program and returns its standard output; it fails the test when the program
// fails or takes longer than the limit.
func run(t *testing.T, limit time.Duration, name string, args ...string) string {
	t.Helper()
	out, err := try(t, limit, name, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// try is run for programs that may fail.
func try(t *testing.T, limit time.Duration, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "SLIPWAY_STATE="+state)
	cmd.WaitDelay = 5 * time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%s %s: %w\n%s%s", filepath.Base(name), strings.Join(args, " "), err, tail(stdout.String()), tail(stderr.String()))
	}
	return stdout.String(), nil
}

// tail keeps an output readable in a failure.
func tail(s string) string {
	const most = 4000
	if len(s) > most {
		return "…" + s[len(s)-most:]
	}
	return s
}

func (s *system) slipway(t *testing.T, args ...string) string {
	t.Helper()
	return run(t, 20*time.Minute, filepath.Join(s.root, "bin", "slipway"), args...)
}

func (s *system) kubectl(t *testing.T, args ...string) string {
	t.Helper()
	return run(t, 2*time.Minute, filepath.Join(s.root, "bin", "kubectl"), append([]string{"--kubeconfig", s.kubeconfig}, args...)...)
}

// eventually repeats check until it succeeds, and fails the test when the limit has passed.
func eventually(t *testing.T, limit time.Duration, what string, check func() error) {
	t.Helper()
	end := time.Now().Add(limit)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: not within %s: %v", what, limit, err)
		}
		time.Sleep(250 * time.Millisecond)
	}
}

// inside runs a command in the node's name spaces, with the node's own programs.
func (s server) inside(t *testing.T, command ...string) string {
	t.Helper()
	out, err := s.tryInside(t, command...)
	if err != nil {
		t.Fatalf("on %s: %v", s.Name, err)
	}
	return out
}

func (s server) tryInside(t *testing.T, command ...string) (string, error) {
	t.Helper()
	return try(t, 2*time.Minute, "nsenter", append([]string{"--target", fmt.Sprint(s.PID), "--all", "--root", "--wd=/", "--"}, command...)...)
}

// file is a path of the node as the host sees it.
func (s server) file(path string) string {
	return filepath.Join("/proc", fmt.Sprint(s.PID), "root", path)
}

// start brings the system up with one master and one worker and finds its nodes.
func start(t *testing.T) *system {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("the end-to-end test makes containers and name spaces: run it as root")
	}
	s := &system{root: repository(t), kubeconfig: filepath.Join(t.TempDir(), "kubeconfig")}
	if found := leftovers(t); len(found) > 0 {
		if _, err := os.Stat(state); err != nil {
			t.Fatalf("another Slipway is on this machine (%s): run `make down` first", strings.Join(found, ", "))
		}
		s.slipway(t, "down") // what an earlier run of this test left
	}
	t.Cleanup(func() {
		if t.Failed() {
			s.report(t)
		}
		if _, err := os.Stat(state); err == nil {
			s.slipway(t, "down")
		}
	})
	s.slipway(t, "up", "--masters", "1", "--nodes", "1")
	if err := os.WriteFile(s.kubeconfig, []byte(s.slipway(t, "cluster", "kubeconfig", "k8s")), 0o600); err != nil {
		t.Fatal(err)
	}
	s.servers(t)
	return s
}

func (s *system) servers(t *testing.T) {
	t.Helper()
	var all []server
	if err := json.Unmarshal([]byte(s.slipway(t, "local", "servers", "-o", "json")), &all); err != nil {
		t.Fatal(err)
	}
	for _, one := range all {
		if strings.Contains(one.Name, "master") {
			s.master = one
		} else {
			s.worker = one
		}
	}
	if len(all) != 2 || s.master.PID == 0 || s.worker.PID == 0 {
		t.Fatalf("want one master and one worker that run, got %+v", all)
	}
}

// report shows what helps to understand a failure.
func (s *system) report(t *testing.T) {
	t.Helper()
	for _, args := range [][]string{{"status"}, {"cluster", "show", "k8s"}, {"cluster", "events", "k8s"}} {
		out, err := try(t, time.Minute, filepath.Join(s.root, "bin", "slipway"), args...)
		t.Logf("slipway %s (%v):\n%s", strings.Join(args, " "), err, tail(out))
	}
	if b, err := os.ReadFile(filepath.Join(state, "slipwayd.log")); err == nil {
		t.Logf("slipwayd.log:\n%s", tail(string(b)))
	}
	for _, n := range []server{s.master, s.worker} {
		if n.PID != 0 {
			out, _ := n.tryInside(t, "journalctl", "--no-pager", "-n", "60")
			t.Logf("journal of %s:\n%s", n.Name, tail(out))
		}
	}
}
