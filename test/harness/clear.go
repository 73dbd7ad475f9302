package harness

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// claimLock is held by the test that has the machine. The kernel lets go of it when the test
// ends, however that happens.
const claimLock = "/run/lock/sliptest.lock"

// exclusive waits until no other test has the machine, and has it until the test ends.
func exclusive(t *testing.T) {
	t.Helper()
	lock, err := os.OpenFile(claimLock, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := lock.Close(); err != nil {
			t.Error(err)
		}
	})
	for {
		if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err == nil {
			return
		} else if err != unix.EINTR {
			t.Fatalf("%s: %v", claimLock, err)
		}
	}
}

// clear removes what is left of tests that were killed, whatever their state directory was and
// whether their processes live on or not. It also removes what a Slipway of which no process is
// left has in the kernel, which a reboot would remove as well, and nothing of its state.
func (s *System) clear(t *testing.T) {
	t.Helper()
	states, err := filepath.Glob(testStates + "*")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(states, s.State) {
		states = append(states, s.State)
	}
	for _, state := range states {
		earlier := &System{Root: s.Root, State: state}
		if found := earlier.Leftovers(t); len(found) > 0 {
			t.Logf("an earlier run left %d things, %s among them: taking them away", len(found), found[0])
			// A command of the earlier run may be at work still, and ends by itself.
			Eventually(t, 10*time.Minute, "the end of what an earlier run left", func() error {
				_, err := earlier.TrySlipway("down")
				return err
			})
		}
	}
}
