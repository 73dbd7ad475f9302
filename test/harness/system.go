package harness

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// System is a Slipway of one test.
type System struct {
	Root  string // of the repository
	State string // directory; on a real file system, because nodes put overlays upon it
}

// Claim returns a system with nothing started yet, after it has removed what an earlier run
// left in the state directory, and takes everything away at the end of the test.
func Claim(t *testing.T, state string) *System {
	t.Helper()
	if os.Getuid() != 0 {
		t.Fatal("this test makes containers and name spaces: run it as root")
	}
	s := &System{Root: repository(t), State: state}
	if found := s.Leftovers(t); len(found) > 0 {
		if _, err := os.Stat(state); err != nil {
			t.Fatalf("another Slipway is on this machine (%s): run `make down` first", strings.Join(found, ", "))
		}
		s.Slipway(t, "down") // what an earlier run left
	}
	t.Cleanup(func() {
		if t.Failed() {
			s.Report(t)
		}
		if _, err := os.Stat(state); err == nil {
			s.Slipway(t, "down")
		}
	})
	return s
}

// Program is the path of a program in bin/.
func (s *System) Program(name string) string { return filepath.Join(s.Root, "bin", name) }

// Slipway runs the operator's command and returns its output.
func (s *System) Slipway(t *testing.T, args ...string) string {
	t.Helper()
	out, err := s.TrySlipway(args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TrySlipway is Slipway for calls that may fail.
func (s *System) TrySlipway(args ...string) (string, error) {
	return try(20*time.Minute, []string{"SLIPWAY_STATE=" + s.State}, s.Program("slipway"), args...)
}

// Cluster is a cluster as `slipway cluster show -o json` shows it, as far as tests look at it.
type Cluster struct {
	UUID       string `json:"uuid"`
	Name       string `json:"name"`
	Status     string `json:"status"`
	Reason     string `json:"status_reason"`
	APIAddress string `json:"api_address"`
}

// Show asks for a cluster by name.
func (s *System) Show(t *testing.T, name string) Cluster {
	t.Helper()
	var c Cluster
	if err := json.Unmarshal([]byte(s.Slipway(t, "cluster", "show", name, "-o", "json")), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

// Event is one event of a cluster's history.
type Event struct {
	ID       string    `json:"id"`
	Time     time.Time `json:"event_time"`
	Resource string    `json:"resource_name"`
	Physical string    `json:"physical_resource_id"`
	Status   string    `json:"resource_status"`
	Reason   string    `json:"resource_status_reason"`
	Actor    string    `json:"actor"`
}

// Events are the history of a cluster, newest first.
func (s *System) Events(t *testing.T, name string) []Event {
	t.Helper()
	var events []Event
	if err := json.Unmarshal([]byte(s.Slipway(t, "cluster", "events", name, "-o", "json")), &events); err != nil {
		t.Fatal(err)
	}
	return events
}

// Kubectl is kubectl with one cluster's kubeconfig.
type Kubectl struct{ Program, Config string }

// Kubectl makes a kubeconfig for the cluster.
func (s *System) Kubectl(t *testing.T, cluster string) Kubectl {
	t.Helper()
	k := Kubectl{Program: s.Program("kubectl"), Config: filepath.Join(t.TempDir(), "kubeconfig-"+cluster)}
	if err := os.WriteFile(k.Config, []byte(s.Slipway(t, "cluster", "kubeconfig", cluster)), 0o600); err != nil {
		t.Fatal(err)
	}
	return k
}

// Run runs kubectl and returns its output.
func (k Kubectl) Run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := k.Try(args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Try is Run for calls that may fail.
func (k Kubectl) Try(args ...string) (string, error) {
	return try(2*time.Minute, nil, k.Program, append([]string{"--kubeconfig", k.Config}, args...)...)
}

// Report shows what helps to understand a failure.
func (s *System) Report(t *testing.T) {
	t.Helper()
	for _, args := range [][]string{{"status"}, {"cluster", "show", "k8s"}, {"cluster", "events", "k8s"}} {
		out, err := s.TrySlipway(args...)
		t.Logf("slipway %s (%v):\n%s", strings.Join(args, " "), err, Tail(out))
	}
	if b, err := os.ReadFile(filepath.Join(s.State, "slipwayd.log")); err == nil {
		t.Logf("slipwayd.log:\n%s", Tail(string(b)))
	}
	text, err := s.TrySlipway("local", "servers", "-o", "json")
	var servers []Server
	if err != nil || json.Unmarshal([]byte(text), &servers) != nil {
		return
	}
	for _, n := range servers {
		if n.PID != 0 {
			out, _ := n.TryInside("journalctl", "--no-pager", "-n", "60")
			t.Logf("journal of %s:\n%s", n.Name, Tail(out))
		}
	}
}
