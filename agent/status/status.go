// Package status is what the agent tells a person on the node about itself, while it runs: a
// small file that is replaced at each change. It is no memory; that is the journal.
package status

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"slipway.build/slipway/agent/protocol"
)

// Path is where the running agent keeps its status.
const Path = "/run/slipway/status.json"

// Doings by which others know the end of a plan.
const (
	Done   = "the plan is done"
	Failed = "failed"
)

// Status is the content of the file.
type Status struct {
	Node       string             `json:"node,omitempty"`
	Doing      string             `json:"doing"` // in words
	Generation uint64             `json:"generation,omitempty"`
	PlanDigest string             `json:"planDigest,omitempty"`
	Registries []string           `json:"registries,omitempty"` // of the plan
	Phase      protocol.Phase     `json:"phase,omitempty"`
	Progress   *protocol.Progress `json:"progress,omitempty"`
	Reason     string             `json:"reason,omitempty"`
	Since      time.Time          `json:"since"`
	// Conditions are those of package conditions, by type.
	Conditions []protocol.Condition `json:"conditions,omitempty"`
	PID        int                  `json:"pid"`
}

// File writes a status; "" as its path writes nothing.
type File struct{ Path string }

// Write replaces the file. It does not sync: a status of before a power loss says nothing.
func (f File) Write(s Status) error {
	if f.Path == "" {
		return nil
	}
	s.Since, s.PID = time.Now().UTC(), os.Getpid()
	raw, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(f.Path), 0o755); err != nil {
		return fmt.Errorf("write the status: %w", err)
	}
	temp := f.Path + ".tmp"
	if err := os.WriteFile(temp, raw, 0o644); err != nil {
		return fmt.Errorf("write the status: %w", err)
	}
	return os.Rename(temp, f.Path)
}

// Read reads a status file.
func Read(path string) (*Status, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s := new(Status)
	return s, json.Unmarshal(raw, s)
}
