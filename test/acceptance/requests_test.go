//go:build acceptance

package acceptance

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/test/harness"
)

// TestBadRequestsChangeNothing sends what the API has to refuse to the real slipwayd.
func TestBadRequestsChangeNothing(t *testing.T) {
	s := prepare(t)
	db := database(t, s)
	good := `"cluster_template_id": "0562d357-8641-4759-8fed-8173f02c9633", "keypair": "my_keypair"`
	for name, test := range map[string]struct {
		body   string
		status int
		names  string // what the message names
	}{
		"an unknown field":          {`{"name": "k8s", "colour": "red", ` + good + `}`, 400, "colour"},
		"a bad name":                {`{"name": "8s/..", ` + good + `}`, 400, "name"},
		"two masters":               {`{"name": "k8s", "master_count": 2, ` + good + `}`, 400, "master"},
		"an unknown template":       {`{"name": "k8s", "cluster_template_id": "no-such-template"}`, 400, "no-such-template"},
		"a negative count":          {`{"name": "k8s", "node_count": -1, ` + good + `}`, 400, "node_count"},
		"a keypair of nobody":       {`{"name": "k8s", "cluster_template_id": "0562d357-8641-4759-8fed-8173f02c9633", "keypair": "nobodys"}`, 404, "nobodys"},
		"a body of 10 MB":           {`{"name": "` + strings.Repeat("x", 10<<20) + `", ` + good + `}`, 413, "large"},
		"malformed JSON":            {`{"name": "k8s", ` + good, 400, "JSON"},
		"a list":                    {`[1, 2]`, 400, "JSON"},
		"nothing":                   {``, 400, "JSON"},
		"the same name twice":       {`{"name": "a", "name": "b", ` + good + `}`, 400, "name"},
		"a field that is read-only": {`{"name": "k8s", "status": "CREATE_COMPLETE", ` + good + `}`, 400, "status"},
	} {
		t.Run(name, func(t *testing.T) {
			status, message := call(t, "POST", "/clusters", test.body)
			t.Logf("%d %.200s", status, message)
			if status != test.status || !strings.Contains(message, test.names) {
				t.Errorf("answer %d %s, want %d with %q", status, message, test.status, test.names)
			}
		})
	}
	for _, table := range []string{"clusters", "nodegroups", "operations", "stacks", "events", "resources"} {
		if n := count(t, db, "SELECT count(*) FROM "+table); n != 0 {
			t.Errorf("table %s holds %d rows", table, n)
		}
	}
	if servers := s.Servers(t); len(servers) != 0 {
		t.Errorf("servers: %+v", servers)
	}
	if status, message := call(t, "DELETE", "/clusters/no-such-cluster", ""); status != 404 || !strings.Contains(message, "no-such-cluster") {
		t.Errorf("deleting what does not exist: %d %s", status, message)
	}
}

// call makes one request and returns the detail of Magnum's error body, which it demands of
// every answer that is an error.
func call(t *testing.T, method, path, body string) (status int, detail string) {
	t.Helper()
	r, err := http.NewRequest(method, harness.Endpoint+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	client := http.Client{Timeout: patience}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode < 400 {
		return response.StatusCode, string(text)
	}
	var answer struct {
		Errors []struct {
			Status int    `json:"status"`
			Detail string `json:"detail"`
		} `json:"errors"`
	}
	if err := json.Unmarshal(text, &answer); err != nil || len(answer.Errors) != 1 || answer.Errors[0].Status != response.StatusCode {
		t.Errorf("not Magnum's error body: %s (%v)", text, err)
		return response.StatusCode, string(text)
	}
	return response.StatusCode, answer.Errors[0].Detail
}

// TestTwoClustersDoNotDisturbEachOther creates two at the same time, uses both, and deletes one.
func TestTwoClustersDoNotDisturbEachOther(t *testing.T) {
	s := prepare(t)
	begun := time.Now()
	for _, name := range []string{"one", "two"} {
		s.Slipway(t, "cluster", "create", "-f", request(t, name, 1, 1))
	}
	kubectl, nodes, pods := map[string]harness.Kubectl{}, map[string][]harness.Server{}, map[string][]harness.Pod{}
	for _, name := range []string{"one", "two"} {
		c := ended(t, s, name)
		t.Logf("%s after %s: %s %s %s", name, time.Since(begun).Round(time.Millisecond), c.Status, c.Reason, c.APIAddress)
		if c.Status != "CREATE_COMPLETE" {
			t.Fatalf("%s is %s: %s", name, c.Status, c.Reason)
		}
		kubectl[name] = s.Kubectl(t, name)
		for _, one := range s.Servers(t) {
			if one.Cluster == c.UUID {
				nodes[name] = append(nodes[name], one)
			}
		}
		if len(nodes[name]) != 2 {
			t.Fatalf("%s has the servers %+v", name, nodes[name])
		}
	}
	for name, k := range kubectl {
		harness.Eventually(t, patience, "two ready nodes of "+name, func() error { return k.Ready(2) })
		pods[name] = s.Deploy(t, k, nodes[name])
		k.ReachService(t, pods[name])
		k.ReachOutside(t, pods[name])
	}
	if a, b := nodes["one"][0].Address, nodes["two"][0].Address; !strings.HasPrefix(a, "10.0.0.") || !strings.HasPrefix(b, "10.0.0.") {
		t.Errorf("the clusters' networks do not overlap, so this shows less than it should: %s and %s", a, b)
	}
	strangers(t, kubectl["one"], kubectl["two"])
	for n := range 3 { // deleting is harmless, however often; it may be done before it is asked for again
		status, message := call(t, "DELETE", "/clusters/"+nodes["one"][0].Cluster, "")
		if status != http.StatusNoContent && (n == 0 || status != http.StatusNotFound) {
			t.Errorf("deletion %d: %d %s", n+1, status, message)
		}
	}
	s.Slipway(t, "cluster", "delete", "one", "--wait")
	k := kubectl["two"]
	if err := k.Ready(2); err != nil {
		t.Error(err)
	}
	k.UsePod(t, pods["two"][0])
	k.ReachService(t, pods["two"])
	k.ReachOutside(t, pods["two"])
	if left := s.Servers(t); len(left) != 2 {
		t.Errorf("servers: %+v", left)
	}
	if listed, err := s.TryClusters(); err != nil || len(listed) != 1 || listed[0].Name != "two" {
		t.Errorf("want two alone in the list: %+v, %v", listed, err)
	}
}
