package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"slipway.build/slipway/agent/plan"
)

// currentPlan returns the plan of the current generation, nil when there is none.
func currentPlan(root string) (*plan.Plan, error) {
	raw, err := os.ReadFile(filepath.Join(root, "current", "plan.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the current plan: %w", err)
	}
	return plan.Parse(raw)
}

// running reads what watching and renewing need of the plan that runs: its certificates, its checks
// and its units' names. Plans are large, so the rest is not kept. It may be used by several goroutines.
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
	link, err := os.Readlink(filepath.Join(r.root, "current"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read which plan runs: %w", err)
	}
	if link == r.link {
		return r.kept, nil
	}
	p, err := currentPlan(r.root)
	if err != nil || p == nil {
		return nil, err
	}
	kept := &plan.Plan{Certificates: p.Certificates, Checks: p.Checks}
	for _, unit := range p.Units {
		kept.Units = append(kept.Units, plan.Unit{Name: unit.Name, Start: unit.Start})
	}
	r.link, r.kept = link, kept
	return kept, nil
}

// units returns the names of the units that should be active.
func (r *running) units() ([]string, error) {
	p, err := r.plan()
	if err != nil || p == nil {
		return nil, err
	}
	var names []string
	for _, unit := range p.Units {
		if unit.Start {
			names = append(names, unit.Name)
		}
	}
	return names, nil
}

// checks returns what the plan has looked at beside its units.
func (r *running) checks() ([]plan.Check, error) {
	p, err := r.plan()
	if err != nil || p == nil {
		return nil, err
	}
	return p.Checks, nil
}
