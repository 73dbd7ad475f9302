//go:build acceptance

package acceptance

import (
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
		gone(t, s, "delete", func(what string) bool { return !staysUntilDown(s, what) })
		deleted := time.Since(begun)
		s.Slipway(t, "down")
		t.Logf("round %d: up %s, deleted after %s, down after %s", round+1, up.Round(time.Millisecond), deleted.Round(time.Millisecond), time.Since(begun).Round(time.Millisecond))
		gone(t, s, "down", func(string) bool { return true })
	}
}

// staysUntilDown reports whether something is there without a cluster, too: slipwayd with its
// unit, the external network with its firewall, and the state directory.
func staysUntilDown(s *harness.System, what string) bool {
	switch what {
	case "link slip-ext", "nftables table slip", "directory " + s.State:
		return true
	}
	return strings.HasPrefix(what, "process ") && strings.HasSuffix(what, " slipwayd") ||
		strings.HasPrefix(what, "cgroup ") && strings.HasSuffix(what, "/slipwayd.service")
}

// TestDownInTheMiddleOfACreationLeavesNothing takes the system away at three moments of a
// creation: while the network is made, while servers boot, and while nodes pull; then under a
// `slipway up` that is still running, and after slipwayd has died.
func TestDownInTheMiddleOfACreationLeavesNothing(t *testing.T) {
	s := harness.Claim(t, state)
	for _, m := range []struct{ moment, query string }{
		{"the network is made", "SELECT count(*) > 5 FROM events"},
		{"servers boot", "SELECT count(*) FROM events WHERE resource_type = 'OS::Nova::Server' AND status = 'CREATE_IN_PROGRESS'"},
		{"nodes pull", "SELECT count(*) FROM nodes WHERE joined_at IS NOT NULL"},
	} {
		t.Run(m.moment, func(t *testing.T) {
			s.AtFailure(t)
			s.Slipway(t, "up", "--no-cluster")
			db := database(t, s)
			s.Slipway(t, "cluster", "create", "-f", request(t, "k8s", 1, 1))
			reached(t, db, m.moment, m.query)
			if err := db.Close(); err != nil {
				t.Error(err)
			}
			begun := time.Now()
			s.Slipway(t, "down")
			t.Logf("down in %s", time.Since(begun).Round(time.Millisecond))
			gone(t, s, "down", func(string) bool { return true })
		})
	}
	t.Run("up still runs", func(t *testing.T) {
		s.AtFailure(t)
		up := s.StartSlipway(t, "up", "--masters", "1", "--nodes", "1")
		awaitServers(t, s, 1)
		s.Slipway(t, "down")
		select {
		case err := <-up:
			if err == nil {
				t.Error("the interrupted up says that it has succeeded")
			}
		case <-time.After(patience):
			t.Fatal("up runs on after down")
		}
		gone(t, s, "down", func(string) bool { return true })
	})
	t.Run("slipwayd is killed first", func(t *testing.T) {
		s.AtFailure(t)
		s.Slipway(t, "up", "--no-cluster")
		s.OwnDaemon(t)
		s.Slipway(t, "cluster", "create", "-f", request(t, "k8s", 1, 1))
		awaitServers(t, s, 2)
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
