package pipeline

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The test binary runs a pipeline of its own when childCache is set, and says on its standard
// output how far it is; it stands still in the stage that childStop names.
const (
	childCache = "SLIPTEST_PIPELINE_CACHE"
	childStop  = "SLIPTEST_PIPELINE_STOP"
)

func TestMain(m *testing.M) {
	if os.Getenv(childCache) != "" {
		os.Exit(child())
	}
	os.Exit(m.Run())
}

func child() int {
	stage := func(name string, inputs ...Input) Stage {
		return Stage{Name: name, Inputs: inputs, Outputs: []string{"made"}, Run: func(ctx context.Context, s *Step) error {
			if err := os.MkdirAll(s.Out("made"), 0o755); err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(s.Out("made"), "half"), []byte(name), 0o644); err != nil {
				return err
			}
			fmt.Println("in", name)
			if os.Getenv(childStop) == name {
				return s.Command(ctx, Command{Name: "sh", Args: []string{"-c", "echo process $$; exec sleep 3600"}, Stdout: os.Stdout})
			}
			return os.WriteFile(filepath.Join(s.Out("made"), "whole"), []byte(name), 0o644)
		}}
	}
	g, err := NewGraph(stage("one"), stage("two", Output("one", "made")), stage("three", Output("two", "made")))
	if err != nil {
		fmt.Println(err)
		return 1
	}
	r, err := g.Run(context.Background(), Options{Cache: os.Getenv(childCache)})
	if err != nil || r.Err() != nil {
		fmt.Println(err, r.Err())
		return 1
	}
	fmt.Println("end", states(r))
	return 0
}

func childCommand(t *testing.T, cache, stop string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), childCache+"="+cache, childStop+"="+stop)
	return cmd
}

func TestAKilledRunGoesOnWhereItWasAndLeavesNoHalfResult(t *testing.T) {
	cache := t.TempDir()
	for _, c := range []struct{ stop, want string }{{"one", ""}, {"two", "in one"}, {"three", "in two"}} {
		cmd := childCommand(t, cache, c.stop)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var seen []string
		program := 0
		for lines := bufio.NewScanner(out); program == 0 && lines.Scan(); {
			seen = append(seen, lines.Text())
			if pid, ok := strings.CutPrefix(lines.Text(), "process "); ok {
				if program, err = strconv.Atoi(pid); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		if program == 0 || len(seen) > 3 {
			t.Fatalf("stopped in %s: %q", c.stop, seen)
		}
		gone(t, program)
	}
	out, err := childCommand(t, cache, "").CombinedOutput()
	if err != nil || string(out) != "in three\nend one cached, two cached, three done\n" {
		t.Errorf("the last run: %v\n%s", err, out)
	}
	if left, err := os.ReadDir(filepath.Join(cache, "work")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	objects, err := filepath.Glob(filepath.Join(cache, "objects", "*", "whole"))
	if err != nil || len(objects) != 3 {
		t.Errorf("kept: %v, %v", objects, err)
	}
}

// gone waits until a process has ended that a killed one had started.
func gone(t *testing.T, pid int) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || bytes.Contains(stat, []byte(") Z ")) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("process %d has outlived who started it", pid)
		}
	}
}

func TestACommandIsEndedWithItsContextAndSoIsWhatItStarted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var log bytes.Buffer
	s := &Step{stage: &Stage{Name: "one"}, log: &log, report: func(Event) {}}
	started := make(chan int, 1)
	w := writer(func(b []byte) (int, error) {
		pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
		if err == nil {
			started <- pid
		}
		return len(b), err
	})
	ended := make(chan error, 1)
	go func() {
		ended <- s.Command(ctx, Command{Name: "sh", Args: []string{"-c", "trap '' TERM; sleep 3600 & echo $!; wait; wait"}, Stdout: w, Grace: time.Second})
	}()
	child := <-started
	cancel()
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "context canceled") {
		t.Errorf("ended with %v", err)
	}
	gone(t, child)
	if err := s.Command(t.Context(), Command{Name: "sh", Args: []string{"-c", "echo said; exit 3"}}); err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(log.String(), "said\n") {
		t.Errorf("got %v, log %q", err, log.String())
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }
