package harness

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// System is a Slipway of one test.
type System struct {
	Root  string // of the repository
	State string // directory; on a real file system, because nodes put overlays upon it

	daemon *daemon // the slipwayd that the test has started itself, if it has
}

// Claim returns a system with nothing started yet, after it has removed what earlier tests left
// that were killed, and takes everything away at the end of the test. Only one test of a
// machine has it at a time. It fails the test while a Slipway runs that is no test's, and
// touches nothing of that.
func Claim(t *testing.T, state string) *System {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("this test makes containers and name spaces: run it as root")
	}
	s := &System{Root: Repository(t), State: state}
	exclusive(t)
	if found := s.others(t); len(found) > 0 {
		t.Fatalf("another Slipway runs on this machine (%s): end it first, with `slipway down` and its state directory", strings.Join(found, ", "))
	}
	s.clear(t)
	t.Cleanup(func() {
		if t.Failed() {
			s.Report(t)
		}
		s.takeAway(t)
	})
	return s
}

// Running names, for tests that can use a system that somebody else has brought up and will take away,
// its state directory.
const Running = "SLIPWAY_TEST_SYSTEM"

// Attach returns the system that runs in a state directory, and neither claims the machine nor takes
// anything away: who has brought it up does both.
func Attach(t *testing.T, state string) *System {
	t.Helper()
	s := &System{Root: Repository(t), State: state}
	t.Cleanup(func() {
		if t.Failed() {
			s.Report(t)
		}
	})
	return s
}

// takeAway removes what is left of the system, by the product's own means.
func (s *System) takeAway(t *testing.T) {
	t.Helper()
	if len(s.Leftovers(t)) > 0 {
		if _, err := s.TrySlipway("down"); err != nil {
			t.Error(err)
		}
	}
	s.endDaemon(t)
}

// AtFailure reports and takes everything away when the test, a part of a longer one, ends and
// has failed, so that the next part begins with nothing.
func (s *System) AtFailure(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		if t.Failed() {
			s.Report(t)
			s.takeAway(t)
		}
	})
}

// Program is the path of a program in bin/.
func (s *System) Program(name string) string { return filepath.Join(s.Root, "bin", name) }

// environment has the operator's commands work on this system, whatever the surroundings say.
func (s *System) environment() []string {
	return []string{"SLIPWAY_STATE=" + s.State, "SLIPWAY_ENDPOINT="}
}

// Slipway runs the operator's command and returns its output.
func (s *System) Slipway(t *testing.T, args ...string) string {
	t.Helper()
	out, err := s.TrySlipway(args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TrySlipway is Slipway for calls that may fail.
func (s *System) TrySlipway(args ...string) (string, error) {
	return try(40*time.Minute, s.environment(), s.Program("slipway"), args...)
}

// StartSlipway starts the operator's command and returns a channel that tells once how it has
// ended. At the end of the test it asks a command that still runs to end, and waits for that.
func (s *System) StartSlipway(t *testing.T, args ...string) <-chan error {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, s.Program("slipway"), args...)
	cmd.Env = append(os.Environ(), s.environment()...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 30 * time.Second
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	how, gone := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(gone)
		how <- cmd.Wait()
	}()
	t.Cleanup(func() {
		cancel()
		<-gone
	})
	return how
}
