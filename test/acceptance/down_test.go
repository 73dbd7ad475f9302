//go:build acceptance

package acceptance

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/test/harness"
)

// TestDownLeavesNothing creates a cluster, deletes it and takes the system away, three times.
func TestDownLeavesNothing(t *testing.T) {
	s := harness.Claim(t, state)
	for round := range 3 {
		begun := time.Now()
		s.Slipway(t, "up", "--masters", "1", "--nodes", "1")
		up := time.Since(begun)
		s.Slipway(t, "cluster", "delete", "k8s", "--wait")
		if left := s.Servers(t); len(left) != 0 {
			t.Errorf("servers: %+v", left)
		}
		gone(t, s, "delete", func(kind string) bool {
			// slipwayd itself, its network and its directory are to stay until down.
			return strings.Contains(kind, "/slip-srv-") || strings.Contains(kind, "/slip-net-") || strings.HasPrefix(kind, "mount")
		})
		deleted := time.Since(begun)
		s.Slipway(t, "down")
		t.Logf("round %d: up %s, deleted after %s, down after %s", round+1, up.Round(time.Millisecond), deleted.Round(time.Millisecond), time.Since(begun).Round(time.Millisecond))
		gone(t, s, "down", func(string) bool { return true })
	}
}

// TestDownInTheMiddleOfACreationLeavesNothing takes the system away at three moments of a
// creation: while the network is made, while servers boot, and while nodes pull; the last time
// under a `slipway up` that is still running.
func TestDownInTheMiddleOfACreationLeavesNothing(t *testing.T) {
	s := harness.Claim(t, state)
	for _, m := range []struct{ moment, query string }{
		{"the network is made", "SELECT count(*) > 5 FROM events"},
		{"servers boot", "SELECT count(*) FROM events WHERE resource_type = 'OS::Nova::Server' AND status = 'CREATE_IN_PROGRESS'"},
		{"nodes pull", "SELECT count(*) FROM nodes WHERE joined_at IS NOT NULL"},
	} {
		t.Run(m.moment, func(t *testing.T) {
			s.Slipway(t, "up", "--no-cluster")
			db := database(t, s)
			s.Slipway(t, "cluster", "create", "-f", request(t, "k8s", 1, 1))
			harness.Eventually(t, time.Minute, m.moment, func() error {
				if count(t, db, m.query) == 0 {
					return os.ErrNotExist
				}
				return nil
			})
			db.Close()
			begun := time.Now()
			s.Slipway(t, "down")
			t.Logf("down in %s", time.Since(begun).Round(time.Millisecond))
			gone(t, s, "down", func(string) bool { return true })
		})
	}
	t.Run("up still runs", func(t *testing.T) {
		up := exec.Command(s.Program("slipway"), "up", "--masters", "1", "--nodes", "1")
		up.Env = append(os.Environ(), "SLIPWAY_STATE="+s.State)
		if err := up.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- up.Wait() }()
		harness.Eventually(t, time.Minute, "a server", func() error {
			if len(s.Servers(t)) == 0 {
				return os.ErrNotExist
			}
			return nil
		})
		s.Slipway(t, "down")
		if err := <-ended; err == nil {
			t.Error("the interrupted up says that it has succeeded")
		}
		gone(t, s, "down", func(string) bool { return true })
	})
	t.Run("slipwayd is killed first", func(t *testing.T) {
		s.Slipway(t, "up", "--no-cluster")
		s.Slipway(t, "cluster", "create", "-f", request(t, "k8s", 1, 1))
		harness.Eventually(t, time.Minute, "two servers", func() error {
			if len(s.Servers(t)) < 2 {
				return os.ErrNotExist
			}
			return nil
		})
		s.KillDaemon(t)
		s.Slipway(t, "down")
		gone(t, s, "down", func(string) bool { return true })
	})
}

// gone fails the test for each leftover that counts.
func gone(t *testing.T, s *harness.System, after string, counts func(string) bool) {
	t.Helper()
	for _, one := range s.Leftovers(t) {
		if counts(one) {
			t.Errorf("%s left behind: %s", after, one)
		}
	}
}
