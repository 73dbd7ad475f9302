//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// external is the host's address on the external network; to a cluster it is the outside.
const external = "172.29.0.1"

// TestACluster creates one cluster and looks at it from all sides: its parts are steps of one
// life, in this order.
func TestACluster(t *testing.T) {
	s := start(t)
	step := func(name string, f func(*testing.T)) {
		if !t.Run(name, f) && strings.HasPrefix(name, "setup") {
			t.FailNow()
		}
	}
	var pods []pod
	step("its nodes are ready", s.nodesAreReady)
	step("its API calls itself by what Magnum says", s.addressIsMagnums)
	step("bringing it up again changes nothing", s.upAgain)
	step("its components are units that are ready", s.unitsAreReady)
	step("etcd is isolated", func(t *testing.T) { s.master.find(t, "etcd").isolated(t, "etcd") })
	step("the API server is isolated", func(t *testing.T) { s.master.find(t, "kube-apiserver").isolated(t, "kube-apiserver") })
	step("its node OS is read-only", s.osIsReadOnly)
	step("setup: a deployment runs on both nodes", func(t *testing.T) { pods = s.deploy(t) })
	step("logs, exec and port-forward work", func(t *testing.T) { s.useThePod(t, pods[0]) })
	step("a pod reaches a service by name, on both nodes", func(t *testing.T) { s.reachService(t, pods) })
	step("a pod reaches the outside through NAT", func(t *testing.T) { s.reachOutside(t, pods) })
	step("its API answers without containerd and agent", s.withoutContainerd)
	step("its history is the paper's", s.history)
	step("deleting it leaves no server", s.deleteCluster)
	step("deleting it again is harmless", func(t *testing.T) { s.slipway(t, "cluster", "delete", "k8s") })
	step("down leaves nothing, however often", s.down)
}

func (s *system) nodesAreReady(t *testing.T) {
	eventually(t, time.Minute, "two ready nodes", func() error {
		lines := strings.Split(strings.TrimSpace(s.kubectl(t, "get", "nodes", "--no-headers")), "\n")
		if len(lines) != 2 {
			return fmt.Errorf("nodes: %q", lines)
		}
		for _, l := range lines {
			if f := strings.Fields(l); len(f) < 5 || f[1] != "Ready" || f[4] != "v1.36.3" {
				return fmt.Errorf("node: %s", l)
			}
		}
		return nil
	})
}

func (s *system) addressIsMagnums(t *testing.T) {
	var c struct {
		Status     string `json:"status"`
		APIAddress string `json:"api_address"`
	}
	if err := json.Unmarshal([]byte(s.slipway(t, "cluster", "show", "k8s", "-o", "json")), &c); err != nil {
		t.Fatal(err)
	}
	if c.Status != "CREATE_COMPLETE" || !strings.HasPrefix(c.APIAddress, "https://172.29.") {
		t.Errorf("status %s, API address %s", c.Status, c.APIAddress)
	}
	if got := s.kubectl(t, "config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}"); got != c.APIAddress {
		t.Errorf("the kubeconfig names %s, Magnum %s", got, c.APIAddress)
	}
}

func (s *system) upAgain(t *testing.T) {
	before := s.slipway(t, "local", "servers", "-o", "json")
	s.slipway(t, "up", "--masters", "1", "--nodes", "1")
	if after := s.slipway(t, "local", "servers", "-o", "json"); after != before {
		t.Errorf("servers before: %s\nafter: %s", before, after)
	}
}

func (s *system) unitsAreReady(t *testing.T) {
	for _, n := range []server{s.master, s.worker} {
		units := strings.Fields(n.inside(t, "systemctl", "list-units", "slipway-*.service", "--all", "--plain", "--no-legend", "--no-pager"))
		if len(units) == 0 {
			t.Errorf("%s has no unit slipway-*", n.Name)
		}
		out := n.inside(t, "systemctl", "show", "slipway-*.service", "--property=Id,Type,ActiveState,NRestarts")
		for _, block := range strings.Split(strings.TrimSpace(out), "\n\n") {
			if !strings.Contains(block, "Type=notify\n") || !strings.Contains(block, "ActiveState=active") || !strings.Contains(block, "NRestarts=0") {
				t.Errorf("%s: %s", n.Name, strings.ReplaceAll(block, "\n", " "))
			}
		}
	}
}

func (s *system) osIsReadOnly(t *testing.T) {
	for _, path := range []string{"/usr/bin/sliptest", "/usr/sliptest"} {
		if _, err := s.worker.tryInside(t, "touch", path); err == nil || !strings.Contains(err.Error(), "Read-only file system") {
			t.Errorf("writing %s: %v", path, err)
		}
	}
}

func (s *system) useThePod(t *testing.T, p pod) {
	if out := s.kubectl(t, "logs", p.name); !strings.Contains(out, "serving on "+p.node) {
		t.Errorf("logs: %q", out)
	}
	if out := s.kubectl(t, "exec", p.name, "--", "/probe", "get", "http://127.0.0.1:8080/"); !strings.Contains(out, p.name) {
		t.Errorf("exec: %q", out)
	}
	ctx, cancel := context.WithCancel(context.Background())
	forward := exec.CommandContext(ctx, filepath.Join(s.root, "bin", "kubectl"), "--kubeconfig", s.kubeconfig, "port-forward", "pod/"+p.name, ":8080")
	stdout, err := forward.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := forward.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cancel(); forward.Wait() }()
	line := make([]byte, 200)
	n, err := stdout.Read(line)
	if err != nil {
		t.Fatalf("port-forward says nothing: %v", err)
	}
	var port int
	if _, err := fmt.Sscanf(string(line[:n]), "Forwarding from 127.0.0.1:%d", &port); err != nil {
		t.Fatalf("port-forward says %q: %v", line[:n], err)
	}
	resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/", port))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, _ := io.ReadAll(resp.Body); !strings.Contains(string(b), p.name) {
		t.Errorf("port-forward: %q", b)
	}
}

func (s *system) reachService(t *testing.T, pods []pod) {
	for _, from := range pods {
		seen := map[string]bool{}
		eventually(t, time.Minute, "answers from both nodes to "+from.node, func() error {
			out := s.kubectl(t, "exec", from.name, "--", "/probe", "get", "http://echo.default.svc.cluster.local/")
			if f := strings.Fields(out); len(f) == 2 {
				seen[f[0]] = true
			}
			if len(seen) < 2 {
				return fmt.Errorf("answers from %v only", seen)
			}
			return nil
		})
	}
}

func (s *system) reachOutside(t *testing.T, pods []pod) {
	l, err := net.Listen("tcp", net.JoinHostPort(external, "0"))
	if err != nil {
		t.Fatal(err)
	}
	callers := make(chan string, len(pods))
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			host, _, _ := net.SplitHostPort(conn.RemoteAddr().String())
			callers <- host
			fmt.Fprintln(conn, "outside")
			conn.Close()
		}
	}()
	defer l.Close()
	for _, p := range pods {
		if out := s.kubectl(t, "exec", p.name, "--", "/probe", "dial", l.Addr().String()); strings.TrimSpace(out) != "outside" {
			t.Errorf("from %s: %q", p.node, out)
		}
		if from := <-callers; !strings.HasPrefix(from, "172.29.") {
			t.Errorf("from %s: the outside sees %s, not the router's address", p.node, from)
		}
	}
}

func (s *system) withoutContainerd(t *testing.T) {
	s.master.inside(t, "systemctl", "stop", "slipway-containerd.service", "slipway-agent.service")
	defer s.master.inside(t, "systemctl", "start", "slipway-agent.service", "slipway-containerd.service")
	for range 3 {
		if out := s.kubectl(t, "get", "--raw", "/readyz"); out != "ok" {
			t.Errorf("/readyz: %q", out)
		}
	}
}

func (s *system) history(t *testing.T) {
	var events []struct {
		Resource string `json:"resource_name"`
		Status   string `json:"resource_status"`
		Reason   string `json:"resource_status_reason"`
		Actor    string `json:"actor"`
	}
	if err := json.Unmarshal([]byte(s.slipway(t, "cluster", "events", "k8s", "-o", "json")), &events); err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for _, e := range events {
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
	s.slipway(t, "cluster", "delete", "k8s", "--wait")
	var all []server
	if err := json.Unmarshal([]byte(s.slipway(t, "local", "servers", "-o", "json")), &all); err != nil {
		t.Fatal(err)
	}
	if len(all) != 0 {
		t.Errorf("servers are left: %+v", all)
	}
	_, err := try(t, time.Minute, filepath.Join(s.root, "bin", "slipway"), "cluster", "show", "k8s")
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("showing a deleted cluster: %v", err)
	}
}

func (s *system) down(t *testing.T) {
	for range 3 {
		s.slipway(t, "down")
		if found := leftovers(t); len(found) > 0 {
			t.Errorf("left behind: %s", strings.Join(found, ", "))
		}
	}
}
