package harness

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"
)

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
	c, err := s.TryShow(name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TryShow is Show for calls that may fail.
func (s *System) TryShow(name string) (Cluster, error) {
	var c Cluster
	text, err := s.TrySlipway("cluster", "show", name, "-o", "json")
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return c, fmt.Errorf("slipway cluster show %s: %w: %s", name, err, Tail(text))
	}
	return c, nil
}

// TryClusters asks for all clusters.
func (s *System) TryClusters() ([]Cluster, error) {
	text, err := s.TrySlipway("cluster", "list", "-o", "json")
	if err != nil {
		return nil, err
	}
	var all []Cluster
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		return nil, fmt.Errorf("slipway cluster list: %w: %s", err, Tail(text))
	}
	return all, nil
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
