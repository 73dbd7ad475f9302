package cli

import (
	"bytes"
	"encoding/json"
	"flag"
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

var update = flag.Bool("update", false, "write the golden files anew")

// api is a slipwayd that answers from a script: the state of its one cluster moves on with
// every look.
type api struct {
	*httptest.Server
	t *testing.T

	mu       sync.Mutex
	requests []string          // "METHOD path body"
	statuses []string          // of the cluster, one per look; the last one stays
	refuse   map[string]string // body of a 4xx answer by "METHOD path"
	code     int
}

const (
	clusterID = "6d5270f6-6362-4063-898c-b5a6ecf21294"
	stackID   = "1b1c5cb3-d04e-4e9c-b96d-10b5d9d3f2c0"
)

func newAPI(t *testing.T, statuses ...string) *api {
	a := &api{t: t, statuses: statuses, refuse: map[string]string{}, code: http.StatusBadRequest}
	a.Server = httptest.NewServer(http.HandlerFunc(a.serve))
	t.Cleanup(a.Close)
	return a
}

func (a *api) serve(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	call := r.Method + " " + r.URL.Path
	a.requests = append(a.requests, call+" "+string(body))
	if text, ok := a.refuse[call]; ok {
		w.WriteHeader(a.code)
		io.WriteString(w, text)
		return
	}
	stack := "/heat/v1/local/stacks/k8s-x7/" + stackID
	switch call {
	case "POST /v1/clusters":
		w.WriteHeader(http.StatusAccepted)
		io.WriteString(w, `{"uuid":"`+clusterID+`"}`)
	case "GET /v1/clusters/k8s", "GET /v1/clusters/" + clusterID:
		a.cluster(w)
	case "GET /v1/clusters/detail":
		io.WriteString(w, `{"clusters":[{"uuid":"`+clusterID+`","name":"k8s","status":"CREATE_COMPLETE","master_count":3,"node_count":3}]}`)
	case "DELETE /v1/clusters/" + clusterID:
		w.WriteHeader(http.StatusNoContent)
	case "GET /heat/v1/local/stacks/" + stackID:
		io.WriteString(w, `{"stack":{"id":"`+stackID+`","stack_name":"k8s-x7"}}`)
	case "GET " + stack + "/graph":
		http.ServeFile(w, r, filepath.Join("testdata", "graph.json"))
	case "GET " + stack + "/events":
		if r.URL.Query().Get("marker") != "" {
			io.WriteString(w, `{"events":[]}`)
			return
		}
		http.ServeFile(w, r, filepath.Join("testdata", "events.json"))
	default:
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, `{"errors":[{"status":404,"title":"Cluster nope could not be found","detail":"Cluster nope could not be found."}]}`)
	}
}

// cluster answers with the next status, or says that the cluster is gone.
func (a *api) cluster(w http.ResponseWriter) {
	status := a.statuses[0]
	if len(a.statuses) > 1 {
		a.statuses = a.statuses[1:]
	}
	if status == "gone" {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	json.NewEncoder(w).Encode(map[string]any{
		"uuid": clusterID, "name": "k8s", "status": status, "stack_id": stackID, "project_id": "local", "api_address": "https://172.29.0.9:6443",
		"master_count": 3, "node_count": 3, "status_reason": map[bool]string{true: "image etcd: expected sha256:aa, found sha256:bb"}[strings.HasSuffix(status, "_FAILED")],
	})
}

// seen returns the requests whose line begins with prefix.
func (a *api) seen(prefix string) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var found []string
	for _, r := range a.requests {
		if strings.HasPrefix(r, prefix) {
			found = append(found, r)
		}
	}
	return found
}

// slipway runs the command against the API.
func (a *api) slipway(args ...string) (code int, stdout, stderr string) {
	var out, problems bytes.Buffer
	code = Run(a.t.Context(), append([]string{"--endpoint", a.URL}, args...), IO{In: strings.NewReader(`{"name":"from-stdin"}`), Out: &out, Err: &problems,
		Now: func() time.Time { return time.Date(2020, 6, 11, 0, 0, 0, 0, time.UTC) }})
	return code, out.String(), problems.String()
}

func TestMistakesOfUsageExitWith2AndAskNothing(t *testing.T) {
	a := newAPI(t, "CREATE_COMPLETE")
	for _, args := range [][]string{
		{"bogus"}, {"cluster", "bogus"}, {"cluster", "show"}, {"cluster", "show", "a", "b"}, {"cluster", "list", "--bogus"},
		{"cluster", "list", "-o", "xml"}, {"cluster", "create"}, {"cluster", "create", "-f", "no-such-file"},
		{"cluster", "kubeconfig", "k8s", "--key", "dsa"}, {"--endpoint", "ftp://x", "cluster", "list"},
	} {
		code, stdout, stderr := a.slipway(args...)
		if code != ExitUsage || stderr == "" || stdout != "" {
			t.Errorf("%v: exit %d, stdout %q, stderr %q", args, code, stdout, stderr)
		}
	}
	if n := len(a.requests); n != 0 {
		t.Errorf("%d requests were made", n)
	}
}

func TestTheServersReasonIsTheErrorMessage(t *testing.T) {
	a := newAPI(t, "CREATE_COMPLETE")
	for body, want := range map[string]string{
		`{"errors":[{"status":400,"title":"x","detail":"Invalid input for field 'master_count'."}]}`: "Invalid input for field 'master_count' (HTTP 400)",
		`{"error":{"code":401,"title":"Unauthorized","message":"no token"}}`:                         "no token (HTTP 400)",
		`<html>bad gateway</html>`: "<html>bad gateway</html> (HTTP 400)",
	} {
		a.refuse["POST /v1/clusters"] = body
		code, _, stderr := a.slipway("cluster", "create", "-f", "-")
		if code != ExitFailed || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit %d, stderr %q", body, code, stderr)
		}
	}
}

func TestARequestIsSentAsItIs(t *testing.T) {
	a := newAPI(t, "CREATE_COMPLETE")
	code, stdout, stderr := a.slipway("cluster", "create", "-f", "-")
	if code != ExitOK || !strings.Contains(stdout, clusterID) {
		t.Fatalf("exit %d, %q, %q", code, stdout, stderr)
	}
	if got := a.seen("POST"); len(got) != 1 || got[0] != `POST /v1/clusters {"name":"from-stdin"}` {
		t.Errorf("requests: %q", got)
	}
}

func TestWaitingShowsTheGraphAndEndsWithTheCluster(t *testing.T) {
	a := newAPI(t, "CREATE_IN_PROGRESS", "CREATE_IN_PROGRESS", "CREATE_COMPLETE")
	code, stdout, stderr := a.slipway("cluster", "create", "-f", "-", "--wait")
	if code != ExitOK || !strings.Contains(stdout, "k8s") || !strings.Contains(stdout, "https://172.29.0.9:6443") {
		t.Fatalf("exit %d, %q, %q", code, stdout, stderr)
	}
	for _, want := range []string{"cluster k8s: running, 7 of 11", "master 0: running, 50.0 MiB of 100.0 MiB: pulling", "worker 0: done", "cluster k8s: done"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("progress does not say %q:\n%s", want, stderr)
		}
	}
}

func TestWaitingForAClusterThatFailsSaysWhy(t *testing.T) {
	a := newAPI(t, "CREATE_IN_PROGRESS", "CREATE_FAILED")
	code, _, stderr := a.slipway("cluster", "create", "-f", "-", "--wait")
	if code != ExitFailed || !strings.Contains(stderr, "expected sha256:aa, found sha256:bb") {
		t.Errorf("exit %d, %q", code, stderr)
	}
}

func TestJSONProgressIsOneObjectALine(t *testing.T) {
	a := newAPI(t, "CREATE_IN_PROGRESS", "CREATE_COMPLETE")
	code, stdout, stderr := a.slipway("cluster", "create", "-f", "-", "--wait", "-o", "json")
	if code != ExitOK || stderr != "" {
		t.Fatalf("exit %d, %q", code, stderr)
	}
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	for _, l := range lines {
		if !json.Valid([]byte(l)) {
			t.Errorf("not JSON: %q", l)
		}
	}
	if last := lines[len(lines)-1]; !strings.Contains(last, `"cluster"`) {
		t.Errorf("the last line is not the cluster: %s", last)
	}
}

func TestDeletingWhatIsNotThereSucceeds(t *testing.T) {
	a := newAPI(t, "CREATE_COMPLETE")
	if code, _, stderr := a.slipway("cluster", "delete", "nope"); code != ExitOK {
		t.Errorf("exit %d, %q", code, stderr)
	}
}

func TestDeletingWaitsUntilTheClusterIsGone(t *testing.T) {
	a := newAPI(t, "CREATE_COMPLETE", "DELETE_IN_PROGRESS", "DELETE_IN_PROGRESS", "gone")
	code, _, stderr := a.slipway("cluster", "delete", "k8s", "--wait")
	if code != ExitOK || len(a.seen("DELETE")) != 1 {
		t.Errorf("exit %d, %q, %q", code, stderr, a.seen("DELETE"))
	}
}

func TestFollowingEventsEndsWithTheOperation(t *testing.T) {
	a := newAPI(t, "CREATE_IN_PROGRESS", "CREATE_IN_PROGRESS", "CREATE_COMPLETE")
	code, stdout, stderr := a.slipway("cluster", "events", "k8s", "--follow")
	if code != ExitOK {
		t.Fatalf("exit %d, %q", code, stderr)
	}
	if n := strings.Count(stdout, "\n"); n != 3 {
		t.Errorf("want 3 events once each, got:\n%s", stdout)
	}
}

func TestOutputIsGolden(t *testing.T) {
	for name, args := range map[string][]string{
		"list":   {"cluster", "list"},
		"show":   {"cluster", "show", "k8s"},
		"graph":  {"cluster", "graph", "k8s"},
		"dot":    {"cluster", "graph", "k8s", "--dot"},
		"events": {"cluster", "events", "k8s"},
		"phases": {"cluster", "phases", "k8s"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAPI(t, "CREATE_COMPLETE")
			code, stdout, stderr := a.slipway(args...)
			if code != ExitOK {
				t.Fatalf("exit %d, %q", code, stderr)
			}
			golden := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(golden, []byte(stdout), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if stdout != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s", stdout, want)
			}
		})
	}
}

func TestEveryCommandTakesJSONAndSaysWhatItDoes(t *testing.T) {
	a := &app{IO: IO{Out: io.Discard, Err: io.Discard}}
	root := a.command()
	for _, c := range root.Commands() {
		for _, sub := range append(c.Commands(), c) {
			if sub.Short == "" {
				t.Errorf("%s has no short description", sub.CommandPath())
			}
			if sub.InheritedFlags().Lookup("output") == nil {
				t.Errorf("%s takes no -o", sub.CommandPath())
			}
		}
	}
}
