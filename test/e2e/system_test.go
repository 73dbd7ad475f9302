//go:build e2e

package e2e

import (
	"os"
	"testing"

	"slipway.build/slipway/test/harness"
)

// state is the test's own state directory: on a real file system, because nodes put overlays
// upon it.
const state = "/var/lib/sliptest-e2e"

// system is Slipway as this test has started it, with its one cluster.
type system struct {
	*harness.System
	kubectl        harness.Kubectl
	master, worker harness.Server
	theirs         bool // somebody else takes it away
}

// start brings the system up with one master and one worker, unless it was told of one that runs, and
// finds its nodes.
func start(t *testing.T) *system {
	t.Helper()
	s := &system{}
	if running := os.Getenv(harness.Running); running != "" {
		s.System, s.theirs = harness.Attach(t, running), true
	} else {
		s.System = harness.Claim(t, state)
		s.Slipway(t, "up", "--masters", "1", "--nodes", "1")
	}
	s.kubectl = s.Kubectl(t, "k8s")
	masters, workers := s.Nodes(t, 1, 1)
	s.master, s.worker = masters[0], workers[0]
	return s
}

// nodes are all nodes of the cluster.
func (s *system) nodes() []harness.Server { return []harness.Server{s.master, s.worker} }
