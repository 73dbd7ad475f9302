package heat

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"slipway.build/slipway/agent/heat/ledger"
	"slipway.build/slipway/agent/heat/metadata"
)

// StatusPath is where Heat mode keeps its status while it runs.
const StatusPath = "/run/slipway/heat.json"

// Status is what Heat mode tells a person on the node. It holds no input and no output.
type Status struct {
	Since       time.Time          `json:"since"`
	PID         int                `json:"pid"`
	Deployments []DeploymentStatus `json:"deployments"`
	// Faults are what does not work now, by what it is: a collector, "work", "signal <id>".
	Faults map[string]string `json:"faults,omitempty"`
}

// DeploymentStatus is one deployment of it.
type DeploymentStatus struct {
	ID      string         `json:"id"`
	Name    string         `json:"name,omitempty"`
	Group   string         `json:"group,omitempty"`
	Step    ledger.Step    `json:"step"`
	Began   time.Time      `json:"began"`
	Ended   time.Time      `json:"ended,omitzero"`
	Failed  bool           `json:"failed,omitempty"`
	Reason  string         `json:"reason,omitempty"`
	Telling ledger.Telling `json:"signal,omitempty"`
	// Written and Silent are of one that runs: bytes of output, seconds since the last of them.
	Written int64 `json:"written,omitempty"`
	Silent  int64 `json:"silentSeconds,omitempty"`
}

// ReadStatus reads a status file.
func ReadStatus(path string) (*Status, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the status of Heat mode: %w", err)
	}
	s := new(Status)
	if err := json.Unmarshal(raw, s); err != nil {
		return nil, fmt.Errorf("read the status of Heat mode: %w", err)
	}
	return s, nil
}

// board writes the status file at each change. A failure to write it is logged and nothing else.
type board struct {
	path string
	log  *slog.Logger

	mu  sync.Mutex
	now Status
}

func newBoard(path string, log *slog.Logger) *board {
	b := &board{path: path, log: log, now: Status{PID: os.Getpid(), Deployments: []DeploymentStatus{}, Faults: map[string]string{}}}
	b.update(func(*Status) {})
	return b
}

func (b *board) entry(e ledger.Entry) {
	b.update(func(s *Status) {
		one := DeploymentStatus{
			ID: e.ID, Name: e.Name, Group: e.Group, Step: e.Step, Began: e.Began, Ended: e.Ended,
			Failed: e.Failed, Reason: e.Reason, Telling: e.Telling,
		}
		if e.Step == ledger.Finished && e.Telling != ledger.Pending {
			delete(s.Faults, "signal "+e.ID)
		}
		for i := range s.Deployments {
			if s.Deployments[i].ID == e.ID {
				s.Deployments[i] = one
				return
			}
		}
		s.Deployments = append(s.Deployments, one)
		slices.SortStableFunc(s.Deployments, func(a, b DeploymentStatus) int { return a.Began.Compare(b.Began) })
	})
}

func (b *board) running(d metadata.Deployment, written int64, silent time.Duration) {
	b.update(func(s *Status) {
		for i := range s.Deployments {
			if s.Deployments[i].ID == d.ID {
				s.Deployments[i].Written, s.Deployments[i].Silent = written, int64(silent.Seconds())
			}
		}
	})
}

// fault shows what does not work, or with nil that it works again.
func (b *board) fault(what string, err error) {
	b.update(func(s *Status) {
		if err == nil {
			delete(s.Faults, what)
			return
		}
		s.Faults[what] = err.Error()
	})
}

func (b *board) update(change func(*Status)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(&b.now)
	if b.path == "" {
		return
	}
	b.now.Since = time.Now().UTC()
	raw, err := json.Marshal(b.now)
	if err == nil {
		if err = os.MkdirAll(filepath.Dir(b.path), 0o755); err == nil {
			temp := b.path + ".tmp"
			if err = os.WriteFile(temp, raw, 0o600); err == nil {
				err = os.Rename(temp, b.path)
			}
		}
	}
	if err != nil {
		b.log.Debug("the status file is not written", "error", err)
	}
}
