package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"slipway.build/slipway/agent/apply"
	"slipway.build/slipway/agent/join"
	"slipway.build/slipway/agent/journal"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/renewal"
	"slipway.build/slipway/agent/trust"
)

// renewer returns what renews the node's certificates. bare calls the control plane without an
// identity; what goes through api changes to the new one.
func (c Config) renewer(identity *join.Identity, bare, api controlPlane, a *apply.Applier, memory *journal.Journal, log *slog.Logger) *renewal.Renewer {
	current := &running{root: c.Root}
	r := renewal.New(renewal.Config{
		Identity: identity, API: bare, Renewed: api.Reconnect, Pairs: a.Certificates, Plan: current.plan,
		Restarts: &renewal.Restarter{
			Journal: memory, Current: a.Certificates.Current, Plan: current.plan, Systemd: a.Systemd, Now: c.now(), Log: log,
		},
		Now: c.now(), Log: log,
	})
	a.Certificates.Owe = func(restarts []journal.Owed) error {
		defer r.Wake()
		return memory.Owe(restarts)
	}
	return r
}

// running reads what renewing needs of the plan that runs: its certificates and its units' names.
type running struct {
	root string

	mu   sync.Mutex
	link string // that current was when it was read
	kept *plan.Plan
}

// plan returns the plan that runs, as far as it is kept; nil when there is none.
func (r *running) plan() (*plan.Plan, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	current := filepath.Join(r.root, "current")
	link, err := os.Readlink(current)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil || link == r.link {
		return r.kept, err
	}
	raw, err := os.ReadFile(filepath.Join(current, "plan.json"))
	if err != nil {
		return nil, fmt.Errorf("read what to renew: %w", err)
	}
	p, err := plan.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("read what to renew: %w", err)
	}
	kept := &plan.Plan{Certificates: p.Certificates}
	for _, unit := range p.Units {
		kept.Units = append(kept.Units, plan.Unit{Name: unit.Name, Start: unit.Start})
	}
	r.link, r.kept = link, kept
	return kept, nil
}

// warnOfClock says in the log when the machine's clock cannot be right.
func warnOfClock(verifier *trust.Verifier, log *slog.Logger) {
	if text, behind := verifier.ClockBehind(); behind {
		log.Error("the clock is wrong", "why", text, "now", time.Now())
	}
}
