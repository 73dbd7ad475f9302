//go:build e2e

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
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
	up             []string // what brings it up
	theirs         bool     // somebody else takes it away
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
		s.up = []string{"up", "--masters", "1", "--nodes", "1", "--file", request(t, s.Root)}
		s.Slipway(t, s.up...)
	}
	s.kubectl = s.Kubectl(t, "k8s")
	masters, workers := s.Nodes(t, 1, 1)
	s.master, s.worker = masters[0], workers[0]
	return s
}

// request is the example's request for a cluster whose nodes hold pods' images against the lock.
func request(t *testing.T, root string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "examples", "cluster-create.json"))
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		t.Fatal(err)
	}
	fields["labels"] = map[string]string{"image_verifier": "scoped"}
	if text, err = json.Marshal(fields); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "request.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// nodes are all nodes of the cluster.
func (s *system) nodes() []harness.Server { return []harness.Server{s.master, s.worker} }
