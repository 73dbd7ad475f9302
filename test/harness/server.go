package harness

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Server is one node as `slipway local servers -o json` shows it.
type Server struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Cluster string `json:"cluster"`
	State   string `json:"state"`
	Address string `json:"address"`
	PID     int    `json:"pid"` // of its first process, as the host sees it
}

// Servers are all servers on this machine, by name.
func (s *System) Servers(t *testing.T) []Server {
	t.Helper()
	all, err := s.TryServers()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TryServers is Servers for calls that may fail.
func (s *System) TryServers() ([]Server, error) {
	text, err := s.TrySlipway("local", "servers", "-o", "json")
	if err != nil {
		return nil, err
	}
	var all []Server
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		return nil, fmt.Errorf("slipway local servers: %w: %s", err, Tail(text))
	}
	return all, nil
}

// Nodes returns the masters and the workers, and fails the test when there are not as many
// that run.
func (s *System) Nodes(t *testing.T, masters, workers int) (m, w []Server) {
	t.Helper()
	all := s.Servers(t)
	for _, one := range all {
		if one.PID == 0 {
			t.Fatalf("%s does not run: %+v", one.Name, one)
		}
		if one.Master() {
			m = append(m, one)
		} else {
			w = append(w, one)
		}
	}
	if len(m) != masters || len(w) != workers {
		t.Fatalf("want %d masters and %d workers, got %+v", masters, workers, all)
	}
	return m, w
}

// Master reports whether the server is one.
func (s Server) Master() bool { return strings.Contains(s.Name, "master") }

// Inside runs a command in the node's name spaces, with the node's own programs.
func (s Server) Inside(t *testing.T, command ...string) string {
	t.Helper()
	out, err := s.TryInside(command...)
	if err != nil {
		t.Fatalf("on %s: %v", s.Name, err)
	}
	return out
}

// TryInside is Inside for commands that may fail.
func (s Server) TryInside(command ...string) (string, error) {
	return try(2*time.Minute, nil, "nsenter", append([]string{"--target", fmt.Sprint(s.PID), "--all", "--root", "--wd=/", "--"}, command...)...)
}

// OnItsNetwork runs a program of the host in the node's network.
func (s Server) OnItsNetwork(command ...string) (string, error) {
	return try(time.Minute, nil, "nsenter", append([]string{"--target", fmt.Sprint(s.PID), "--net", "--"}, command...)...)
}

// File is a path of the node as the host sees it.
func (s Server) File(path string) string {
	return filepath.Join("/proc", fmt.Sprint(s.PID), "root", path)
}
