package harness

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// External is the host's address on the external network; to a cluster it is the outside.
const External = "172.29.0.1"

// UsePod checks logs, exec and port-forward with one pod.
func (k Kubectl) UsePod(t *testing.T, p Pod) {
	t.Helper()
	if out := k.Run(t, "logs", p.Name); !strings.Contains(out, "serving on "+p.Node) {
		t.Errorf("logs: %q", out)
	}
	if out := k.Run(t, "exec", p.Name, "--", "/probe", "get", "http://127.0.0.1:8080/"); !strings.Contains(out, p.Name) {
		t.Errorf("exec: %q", out)
	}
	ctx, cancel := context.WithCancel(context.Background())
	forward := exec.CommandContext(ctx, k.Program, "--kubeconfig", k.Config, "port-forward", "pod/"+p.Name, ":8080")
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
	if b, _ := io.ReadAll(resp.Body); !strings.Contains(string(b), p.Name) {
		t.Errorf("port-forward: %q", b)
	}
}

// ReachService checks that each pod reaches the workload's service by its DNS name, and through
// it pods on all nodes.
func (k Kubectl) ReachService(t *testing.T, pods []Pod) {
	t.Helper()
	for _, from := range pods {
		seen := map[string]bool{}
		Eventually(t, time.Minute, fmt.Sprintf("answers from %d nodes to %s", len(pods), from.Node), func() error {
			out := k.Run(t, "exec", from.Name, "--", "/probe", "get", "http://echo.default.svc.cluster.local/")
			if f := strings.Fields(out); len(f) == 2 {
				seen[f[0]] = true
			}
			if len(seen) < len(pods) {
				return fmt.Errorf("answers from %v only", seen)
			}
			return nil
		})
	}
}

// ReachOutside checks that each pod reaches the outside, which sees the router's address.
func (k Kubectl) ReachOutside(t *testing.T, pods []Pod) {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(External, "0"))
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
		if out := k.Run(t, "exec", p.Name, "--", "/probe", "dial", l.Addr().String()); strings.TrimSpace(out) != "outside" {
			t.Errorf("from %s: %q", p.Node, out)
		}
		if from := <-callers; !strings.HasPrefix(from, "172.29.") {
			t.Errorf("from %s: the outside sees %s, not the router's address", p.Node, from)
		}
	}
}

// Ready checks that the cluster has that many nodes and that all are Ready.
func (k Kubectl) Ready(nodes int) error {
	out, err := k.Try("get", "nodes", "--no-headers", "--request-timeout=10s")
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != nodes {
		return fmt.Errorf("want %d nodes: %q", nodes, lines)
	}
	for _, l := range lines {
		if f := strings.Fields(l); len(f) < 5 || f[1] != "Ready" {
			return fmt.Errorf("node: %s", l)
		}
	}
	return nil
}
