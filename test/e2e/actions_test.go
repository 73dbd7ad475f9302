//go:build e2e

package e2e

import (
	"encoding/json"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// nodeView is a node as `slipway node` shows it, as far as this test looks at it.
type nodeView struct {
	Name       string
	Role       string
	Address    string
	State      string
	Generation uint64
	Phase      string
	Conditions []struct{ Type, Status string }
	Images     []struct{ Name, Digest string }
	Units      []string
	Actions    []struct{ What, State, Actor string }
}

// nodesDoActions looks at the nodes through the control plane, and has the master do something.
func (s *system) nodesDoActions(t *testing.T) {
	var nodes []nodeView
	if err := json.Unmarshal([]byte(s.Slipway(t, "node", "list", "k8s", "-o", "json")), &nodes); err != nil {
		t.Fatal(err)
	}
	if len(nodes) != 2 || nodes[0].State != "joined" || nodes[0].Phase != "healthy" || nodes[0].Generation == 0 {
		t.Fatalf("nodes %+v", nodes)
	}
	master := nodes[0].Name
	if nodes[0].Role != "master" {
		master = nodes[1].Name
	}
	const unit = "slipway-kube-scheduler.service"
	before := s.master.Inside(t, "systemctl", "show", "--value", "--property=InvocationID", unit)
	if out := s.Slipway(t, "node", "action", "restart", master, "kube-scheduler", "--wait"); !strings.Contains(out, "it is active (running) again") {
		t.Errorf("the restart told %q", out)
	}
	if after := s.master.Inside(t, "systemctl", "show", "--value", "--property=InvocationID", unit); after == before {
		t.Error("the scheduler was not restarted")
	}
	s.actionIsInTheHistory(t, "Action restart "+unit)
	s.expiredActionIsNotDone(t, master, unit)

	var node nodeView
	if err := json.Unmarshal([]byte(s.Slipway(t, "node", "show", master, "-o", "json")), &node); err != nil {
		t.Fatal(err)
	}
	if len(node.Images) == 0 || len(node.Units) == 0 || len(node.Actions) < 2 || node.Actions[0].Actor != "user:local" {
		t.Errorf("node %+v", node)
	}
	if out := s.Slipway(t, "node", "logs", master, "kube-scheduler", "-n", "20"); !strings.Contains(out, "slipway") && strings.Count(out, "\n") < 3 {
		t.Errorf("its log: %q", out)
	}
	if out, err := s.TrySlipway("node", "action", "check", master, "units", "probes", "api", "--wait"); err != nil {
		t.Errorf("the checks: %v\n%s", err, out)
	}
	archive := t.TempDir() + "/support.tar.gz"
	s.Slipway(t, "node", "bundle", master, "-f", archive)
	listed, err := exec.CommandContext(t.Context(), "tar", "-tzf", archive).CombinedOutput()
	if err != nil || !strings.Contains(string(listed), "manifest.json") {
		t.Errorf("the support archive holds %s (%v)", listed, err)
	}
}

// actionIsInTheHistory looks for every state of an action, with who asked and who did it.
func (s *system) actionIsInTheHistory(t *testing.T, what string) {
	t.Helper()
	want := map[string]string{"requested": "user:local", "delivered": "node:", "started": "node:", "done": "node:"}
	for _, e := range s.Events(t, "k8s") {
		_, news, ok := strings.Cut(e.Reason, " for user:local ")
		if !ok || !strings.HasPrefix(e.Reason, what) {
			continue
		}
		word, _, _ := strings.Cut(news, ",")
		if actor, wanted := want[word]; wanted && strings.HasPrefix(e.Actor, actor) {
			delete(want, word)
		}
	}
	for word, actor := range want {
		t.Errorf("no event of %s: %s by %s", what, word, actor)
	}
}

// expiredActionIsNotDone asks while the agent does not run, and lets the request expire.
func (s *system) expiredActionIsNotDone(t *testing.T, master, unit string) {
	t.Helper()
	before := s.master.Inside(t, "systemctl", "show", "--value", "--property=InvocationID", unit)
	s.master.Inside(t, "systemctl", "stop", "slipway-agent.service")
	began := time.Now()
	out, err := s.TrySlipway("node", "action", "restart", master, "kube-scheduler", "--expires", "1s", "--wait")
	s.master.Inside(t, "systemctl", "start", "slipway-agent.service")
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("an action that nobody begins ended after %s with %v: %s", time.Since(began), err, out)
	}
	s.Slipway(t, "node", "action", "check", master, "disk", "--wait") // the agent is back, and has asked
	if after := s.master.Inside(t, "systemctl", "show", "--value", "--property=InvocationID", unit); after != before {
		t.Error("an expired action was done")
	}
}
