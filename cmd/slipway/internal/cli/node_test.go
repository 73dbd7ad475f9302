package cli

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// nodes is a slipwayd with one node, whose one action goes through scripted states.
type nodes struct {
	*httptest.Server
	mu     sync.Mutex
	orders []string
	states []string // JSON fields of the action, one for each look; the last one stays
}

const actionID = "7a715c3e-4328-47e2-9f31-b683cf018219"

func newNodes(t *testing.T, states ...string) *nodes {
	n := &nodes{states: states}
	n.Server = httptest.NewServer(http.HandlerFunc(n.serve))
	t.Cleanup(n.Close)
	return n
}

func (n *nodes) serve(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	defer n.mu.Unlock()
	base := `"id":"` + actionID + `","node_id":"n-1","node_name":"k8s-master-0","what":"restart slipway-kubelet.service","actor":"user:local","expires_at":"2026-11-21T12:10:00Z"`
	switch r.Method + " " + r.URL.Path {
	case "GET /slipway/v1/clusters/k8s/nodes":
		io.WriteString(w, `{"nodes":[{"id":"n-1","name":"k8s-master-0","cluster_name":"k8s","role":"master","address":"10.0.0.2","generation":3,"phase":"healthy",
			"last_seen":"2020-06-10T23:59:30Z","conditions":[{"type":"DiskPressure","status":"True"},{"type":"ClockSkew","status":"False"}]}]}`)
	case "POST /slipway/v1/nodes/k8s-master-0/actions":
		body, _ := io.ReadAll(r.Body)
		n.orders = append(n.orders, string(body))
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprintf(w, `{%s,"state":"requested"}`, base)
	case "GET /slipway/v1/nodes/n-1/actions/" + actionID:
		state := n.states[0]
		if len(n.states) > 1 {
			n.states = n.states[1:]
		}
		w.Header().Set("ETag", fmt.Sprint(len(n.states)))
		fmt.Fprintf(w, `{%s,%s}`, base, state)
	case "GET /slipway/v1/nodes/n-1/actions/" + actionID + "/archive":
		io.WriteString(w, "an archive")
	default:
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{"errors":[{"detail":"Node x could not be found."}]}`)
	}
}

func (n *nodes) slipway(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, problems bytes.Buffer
	code = Run(t.Context(), append([]string{"--endpoint", n.URL}, args...), IO{
		In: strings.NewReader(""), Out: &out, Err: &problems, Now: func() time.Time { return time.Date(2020, 6, 11, 0, 0, 0, 0, time.UTC) },
	})
	return code, out.String(), problems.String()
}

func TestNodesAreListedWithTheirTroubles(t *testing.T) {
	n := newNodes(t)
	code, out, problems := n.slipway(t, "node", "list", "k8s")
	if code != ExitOK || !strings.Contains(out, "k8s-master-0  k8s      master  10.0.0.2  3           healthy  30 seconds ago  DiskPressure") {
		t.Errorf("exit %d:\n%s%s", code, out, problems)
	}
	code, out, _ = n.slipway(t, "node", "list", "k8s", "-o", "json")
	var list []map[string]any
	if err := json.Unmarshal([]byte(out), &list); code != ExitOK || err != nil || len(list) != 1 {
		t.Errorf("exit %d: %s, %v", code, out, err)
	}
}

func TestOrdersOfActionsAreMistakesOfUsageOrSent(t *testing.T) {
	n := newNodes(t)
	for _, args := range []string{"shell k8s-master-0", "restart k8s-master-0", "restart k8s-master-0 a b", "reboot k8s-master-0 now", "restart k8s-master-0 kubelet -n 5", "reboot"} {
		if code, _, _ := n.slipway(t, append([]string{"node", "action"}, strings.Fields(args)...)...); code != ExitUsage {
			t.Errorf("%s: exit %d", args, code)
		}
	}
	if len(n.orders) > 0 {
		t.Fatalf("asked for %v", n.orders)
	}
	for args, want := range map[string]string{
		"restart k8s-master-0 kubelet":                           `{"kind":"restart","unit":"slipway-kubelet.service"}`,
		"restart k8s-master-0 slipway-x.socket --expires 30s":    `{"kind":"restart","unit":"slipway-x.socket","expires_in":"30s"}`,
		"logs k8s-master-0 agent -n 7":                           `{"kind":"logs","unit":"slipway-agent.service","lines":7}`,
		"pull k8s-master-0 etcd pause":                           `{"kind":"pull","images":["etcd","pause"]}`,
		"check k8s-master-0 disk":                                `{"kind":"check","checks":["disk"]}`,
		"reboot k8s-master-0":                                    `{"kind":"reboot"}`,
		"renew k8s-master-0 kubelet-client kube-proxy --wait=no": "",
	} {
		n.orders = nil
		code, out, problems := n.slipway(t, append([]string{"node", "action"}, strings.Fields(args)...)...)
		if want == "" {
			if code != ExitUsage {
				t.Errorf("%s: exit %d", args, code)
			}
			continue
		}
		if code != ExitOK || len(n.orders) != 1 || n.orders[0] != want || !strings.Contains(out, "accepted") {
			t.Errorf("%s: exit %d, sent %v\n%s%s", args, code, n.orders, out, problems)
		}
	}
	if code, _, problems := n.slipway(t, "node", "action", "reboot", "x"); code != ExitFailed || !strings.Contains(problems, "Node x could not be found") {
		t.Errorf("a node that is not there: exit %d, %s", code, problems)
	}
}

func TestWaitingForAnActionEndsWithItsVerdict(t *testing.T) {
	for _, c := range []struct {
		last string
		code int
		want string
	}{
		{`"state":"done","ended":true,"results":[{"name":"slipway-kubelet.service","status":"ok","message":"it runs"}]`, ExitOK, "it runs"},
		{`"state":"done","ended":true,"results":[{"name":"disk","status":"trouble","message":"full"}]`, ExitFailed, "the checks found trouble"},
		{`"state":"failed","ended":true,"reason":"it did not come back","log":"last words"`, ExitFailed, "failed: it did not come back"},
		{`"state":"refused","ended":true,"reason":"a plan is being applied"`, ExitFailed, "was refused: a plan is being applied"},
		{`"state":"expired","ended":true`, ExitFailed, "expired: the node gave no reason"},
	} {
		n := newNodes(t, `"state":"delivered"`, `"state":"started","progress":{"bytesDone":5,"bytesTotal":10}`, c.last)
		code, out, problems := n.slipway(t, "node", "action", "restart", "k8s-master-0", "kubelet", "--wait")
		if code != c.code || !strings.Contains(out+problems, c.want) || !strings.Contains(problems, "delivered") || !strings.Contains(problems, "started") {
			t.Errorf("%s: exit %d\n%s%s", c.last, code, out, problems)
		}
	}
	n := newNodes(t, `"state":"started"`, `"state":"done","ended":true`)
	code, out, _ := n.slipway(t, "node", "action", "reboot", "k8s-master-0", "--wait", "-o", "json")
	for line := range strings.Lines(out) {
		if !json.Valid([]byte(line)) {
			t.Errorf("no JSON: %s", line)
		}
	}
	if code != ExitOK || !strings.Contains(out, `{"action":{`) {
		t.Errorf("exit %d: %s", code, out)
	}
}

func TestLogsAreWhatTheNodeSent(t *testing.T) {
	n := newNodes(t, `"state":"done","ended":true,"output":"one\ntwo\n"`)
	if code, out, problems := n.slipway(t, "node", "logs", "k8s-master-0", "kubelet", "-n", "2"); code != ExitOK || out != "one\ntwo\n" {
		t.Errorf("exit %d: %q, %s", code, out, problems)
	}
}

func sumOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func TestABundleIsWrittenWholeOrNotAtAll(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "support.tar.gz")
	n := newNodes(t, `"state":"done","ended":true,"archive":{"size":10,"sha256":"`+sumOf("another")+`"}`)
	if code, _, problems := n.slipway(t, "node", "bundle", "k8s-master-0", "-f", file); code != ExitFailed || !strings.Contains(problems, "sha256") {
		t.Errorf("another archive than was told: exit %d, %s", code, problems)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
	n = newNodes(t, `"state":"done","ended":true,"archive":{"size":10,"sha256":"`+sumOf("an archive")+`"}`)
	if code, out, problems := n.slipway(t, "node", "bundle", "k8s-master-0", "-f", file); code != ExitOK || !strings.Contains(out, file) {
		t.Errorf("exit %d, %s%s", code, out, problems)
	}
	if raw, err := os.ReadFile(file); err != nil || string(raw) != "an archive" {
		t.Errorf("%q, %v", raw, err)
	}
	if code, out, _ := n.slipway(t, "node", "bundle", "k8s-master-0", "-f", "-"); code != ExitOK || out != "an archive" {
		t.Errorf("to standard output: exit %d, %q", code, out)
	}
}
