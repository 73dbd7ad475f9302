//go:build e2e

package e2e

import (
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/test/harness"
)

// TestACluster creates one cluster and looks at it from all sides: its parts are steps of one
// life, in this order.
func TestACluster(t *testing.T) {
	s := start(t)
	step := func(name string, f func(*testing.T)) {
		if !t.Run(name, f) && strings.HasPrefix(name, "setup") {
			t.FailNow()
		}
	}
	var pods []harness.Pod
	step("its nodes are ready", s.nodesAreReady)
	step("its API calls itself by what Magnum says", s.addressIsMagnums)
	step("bringing it up again changes nothing", s.upAgain)
	step("its components are units that are ready", s.unitsAreReady)
	step("every component is isolated", s.isolated)
	step("its node OS is read-only", s.osIsReadOnly)
	step("setup: a deployment runs on both nodes", func(t *testing.T) { pods = s.Deploy(t, s.kubectl, s.nodes()) })
	step("logs, exec and port-forward work", func(t *testing.T) { s.kubectl.UsePod(t, pods[0]) })
	step("a pod reaches a service by name, on both nodes", func(t *testing.T) { s.kubectl.ReachService(t, pods) })
	step("a pod reaches the outside through NAT", func(t *testing.T) { s.kubectl.ReachOutside(t, pods) })
	if !s.theirs {
		step("its pods' images are held against the lock", s.imagesAreVerified)
	}
	step("its nodes do single things when they are asked", s.nodesDoActions)
	step("its API answers without containerd and agent", s.withoutContainerd)
	step("its history is the paper's", s.history)
	if s.theirs {
		return
	}
	step("deleting it leaves no server", s.deleteCluster)
	step("deleting it again is harmless", func(t *testing.T) { s.Slipway(t, "cluster", "delete", "k8s") })
	step("down leaves nothing, however often", s.down)
}

func (s *system) nodesAreReady(t *testing.T) {
	harness.Eventually(t, 5*time.Minute, "two ready nodes", func() error { return s.kubectl.Ready(2, "v1.36.3") })
}

func (s *system) addressIsMagnums(t *testing.T) {
	c := s.Show(t, "k8s")
	if c.Status != "CREATE_COMPLETE" || !strings.HasPrefix(c.APIAddress, "https://172.29.") {
		t.Errorf("status %s, API address %s", c.Status, c.APIAddress)
	}
	if got := s.kubectl.Run(t, "config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}"); got != c.APIAddress {
		t.Errorf("the kubeconfig names %s, Magnum %s", got, c.APIAddress)
	}
}

func (s *system) upAgain(t *testing.T) {
	before := s.Slipway(t, "local", "servers", "-o", "json")
	if s.theirs {
		s.up = []string{"up", "--masters", "1", "--nodes", "1"}
	}
	s.Slipway(t, s.up...)
	if after := s.Slipway(t, "local", "servers", "-o", "json"); after != before {
		t.Errorf("servers before: %s\nafter: %s", before, after)
	}
}

func (s *system) unitsAreReady(t *testing.T) {
	for _, n := range s.nodes() {
		units := strings.Fields(n.Inside(t, "systemctl", "list-units", "slipway-*.service", "--all", "--plain", "--no-legend", "--no-pager"))
		if len(units) == 0 {
			t.Errorf("%s has no unit slipway-*", n.Name)
		}
		out := n.Inside(t, "systemctl", "show", "slipway-*.service", "--property=Id,Type,ActiveState,NRestarts")
		for _, block := range strings.Split(strings.TrimSpace(out), "\n\n") {
			if !strings.Contains(block, "Type=notify\n") || !strings.Contains(block, "ActiveState=active") || !strings.Contains(block, "NRestarts=0") {
				t.Errorf("%s: %s", n.Name, strings.ReplaceAll(block, "\n", " "))
			}
		}
	}
}

func (s *system) osIsReadOnly(t *testing.T) {
	for _, path := range []string{"/usr/bin/sliptest", "/usr/sliptest"} {
		if _, err := s.worker.TryInside("touch", path); err == nil || !strings.Contains(err.Error(), "Read-only file system") {
			t.Errorf("writing %s: %v", path, err)
		}
	}
}

func (s *system) withoutContainerd(t *testing.T) {
	s.master.Inside(t, "systemctl", "stop", "slipway-containerd.service", "slipway-agent.service")
	defer s.master.Inside(t, "systemctl", "start", "slipway-agent.service", "slipway-containerd.service")
	for range 3 {
		if out := s.kubectl.Run(t, "get", "--raw", "/readyz"); out != "ok" {
			t.Errorf("/readyz: %q", out)
		}
	}
}

func (s *system) history(t *testing.T) {
	want := map[string]bool{}
	for _, e := range s.Events(t, "k8s") {
		switch {
		case e.Status == "CREATE_COMPLETE":
			want[e.Resource+" complete"] = true
		case e.Status == "SIGNAL_IN_PROGRESS" && strings.HasPrefix(e.Reason, "Signal: deployment ") && strings.HasSuffix(e.Reason, " succeeded"):
			want[e.Resource+" signalled"] = true
		}
		if e.Actor == "" {
			t.Errorf("event without actor: %+v", e)
		}
	}
	for _, w := range []string{"kube_masters complete", "kube_minions complete", "kube_cluster_deploy complete", "kube_cluster_deploy signalled", "api_address_floating_switch complete"} {
		if !want[w] {
			t.Errorf("no event: %s", w)
		}
	}
}

func (s *system) deleteCluster(t *testing.T) {
	s.Slipway(t, "cluster", "delete", "k8s", "--wait")
	if all := s.Servers(t); len(all) != 0 {
		t.Errorf("servers are left: %+v", all)
	}
	_, err := s.TrySlipway("cluster", "show", "k8s")
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("showing a deleted cluster: %v", err)
	}
}

func (s *system) down(t *testing.T) {
	for range 3 {
		s.Slipway(t, "down")
		if found := s.Leftovers(t); len(found) > 0 {
			t.Errorf("left behind: %s", strings.Join(found, ", "))
		}
	}
}
