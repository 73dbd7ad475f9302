package harness

import (
	"bufio"
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
	k.forward(t, p)
}

// forward checks that a forwarded port leads to the pod.
func (k Kubectl) forward(t *testing.T, p Pod) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	forward := exec.CommandContext(ctx, k.Program, "--kubeconfig", k.Config, "port-forward", "pod/"+p.Name, ":8080")
	stdout, err := forward.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := forward.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cancel()
		_ = forward.Wait() // it has been killed, so that its error says nothing
	}()
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("port-forward says only %q: %v", line, err)
	}
	var port int
	if _, err := fmt.Sscanf(line, "Forwarding from 127.0.0.1:%d", &port); err != nil {
		t.Fatalf("port-forward says %q: %v", line, err)
	}
	client := http.Client{Timeout: time.Minute}
	resp, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d/", port))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err != nil || !strings.Contains(string(b), p.Name) {
		t.Errorf("port-forward: %q, %v", b, err)
	}
}

// ReachService checks that each pod reaches the workload's service by its DNS name, and through
// it pods on all nodes. Nodes learn of a new service a while after it is there; once a pod has
// had an answer, none may fail.
func (k Kubectl) ReachService(t *testing.T, pods []Pod) {
	t.Helper()
	for _, from := range pods {
		seen := map[string]bool{}
		Eventually(t, 5*time.Minute, fmt.Sprintf("answers from %d nodes to %s", len(pods), from.Node), func() error {
			out, err := k.Try("exec", from.Name, "--", "/probe", "get", "http://echo.default.svc.cluster.local/")
			if err != nil {
				if len(seen) > 0 {
					t.Fatalf("from %s, after answers from %v: %v", from.Node, seen, err)
				}
				return err
			}
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
	callers, ended := make(chan string, len(pods)), make(chan struct{})
	go answer(l, callers, ended)
	defer func() {
		l.Close()
		<-ended
	}()
	for _, p := range pods {
		if out := k.Run(t, "exec", p.Name, "--", "/probe", "dial", l.Addr().String()); strings.TrimSpace(out) != "outside" {
			t.Errorf("from %s: %q", p.Node, out)
		}
		select {
		case from := <-callers:
			if !strings.HasPrefix(from, "172.29.") {
				t.Errorf("from %s: the outside sees %s, not the router's address", p.Node, from)
			}
		default:
			t.Errorf("from %s: nobody has called the outside", p.Node)
		}
	}
}

// answer says "outside" to every caller, after it has told the caller's address, until the
// listener is closed.
func answer(l net.Listener, callers chan<- string, ended chan<- struct{}) {
	defer close(ended)
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		host, _, _ := net.SplitHostPort(conn.RemoteAddr().String())
		select {
		case callers <- host:
		default: // more callers than pods: nobody waits for this one
		}
		fmt.Fprintln(conn, "outside")
		conn.Close()
	}
}
