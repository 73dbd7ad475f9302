package harness

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Report shows what helps to understand a failure. Whatever it cannot find out it leaves out.
func (s *System) Report(t *testing.T) {
	t.Helper()
	if _, err := os.Stat(s.State); err != nil {
		return // nothing is left to be looked at
	}
	calls := [][]string{{"status"}}
	clusters, _ := s.TryClusters()
	for _, c := range clusters {
		calls = append(calls, []string{"cluster", "show", c.Name}, []string{"cluster", "events", c.Name})
	}
	for _, args := range calls {
		out, err := s.TrySlipway(args...)
		t.Logf("slipway %s (%v):\n%s", strings.Join(args, " "), err, Tail(out))
	}
	if b, err := os.ReadFile(filepath.Join(s.State, "slipwayd.log")); err == nil {
		t.Logf("slipwayd.log:\n%s", Tail(string(b)))
	}
	servers, err := s.TryServers()
	if err != nil {
		t.Logf("the servers: %v", err)
	}
	for _, n := range servers {
		if n.PID != 0 {
			out, err := n.TryInside("journalctl", "--no-pager", "-n", "60")
			t.Logf("journal of %s (%v):\n%s", n.Name, err, Tail(out))
		}
	}
}
