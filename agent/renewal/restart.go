package renewal

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/health"
	"slipway.build/slipway/agent/journal"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/units/drive"
)

// restartLimit bounds the restarts of one round.
const restartLimit = 10 * time.Minute

// settleLimit bounds the wait for a node's units to be well, before and after each restart.
const settleLimit = 2 * time.Minute

// Journal remembers the restarts that are owed.
type Journal interface {
	OwedRestarts() ([]journal.Owed, error)
	Settle([]journal.Owed) error
}

// Restarter restarts the units of renewed certificates, one at a time, and each only while all that
// should run does: a renewal must not take a node down that is already in trouble.
type Restarter struct {
	Journal Journal
	// Current returns the fingerprint of a certificate on disk, "" for none.
	Current func(certificate string) string
	Plan    func() (*plan.Plan, error)
	Systemd drive.Driver
	Now     func() time.Time
	Log     *slog.Logger
}

func (r *Restarter) due() (time.Time, error) {
	owed, err := r.Journal.OwedRestarts()
	if err != nil || len(owed) == 0 {
		return time.Time{}, err
	}
	return r.Now(), nil
}

func (r *Restarter) do(ctx context.Context) error {
	owed, err := r.Journal.OwedRestarts()
	if err != nil {
		return err
	}
	p, err := r.Plan()
	if err != nil {
		return err
	}
	var real, pointless []journal.Owed
	for _, restart := range owed {
		// A certificate that was never written, or that a later renewal has replaced, calls for none.
		if p != nil && r.Current(restart.Certificate) == restart.Fingerprint && runs(p, restart.Unit) {
			real = append(real, restart)
		} else {
			pointless = append(pointless, restart)
		}
	}
	if err := r.Journal.Settle(pointless); err != nil {
		return err
	}
	for _, unit := range journal.UnitsOf(real) {
		if err := r.restart(ctx, p, unit, real); err != nil {
			return fault.Retriablef("restart %s, whose certificate was renewed: %w", unit, err)
		}
	}
	return nil
}

func runs(p *plan.Plan, unit string) bool {
	return slices.ContainsFunc(p.Units, func(u plan.Unit) bool { return u.Name == unit && u.Start })
}

func (r *Restarter) restart(ctx context.Context, p *plan.Plan, unit string, owed []journal.Owed) error {
	var all []string
	for _, u := range p.Units {
		if u.Start {
			all = append(all, u.Name)
		}
	}
	if err := r.await(ctx, all); err != nil {
		return fmt.Errorf("the node is not well before it: %w", err)
	}
	results, err := r.Systemd.Queue(ctx, []drive.Job{{Unit: unit, Action: drive.Restart}})
	if err != nil {
		return err
	}
	if err := drive.Wait(results); err != nil {
		return err
	}
	done := slices.DeleteFunc(slices.Clone(owed), func(o journal.Owed) bool { return o.Unit != unit })
	if err := r.Journal.Settle(done); err != nil {
		return err
	}
	r.Log.Info("restarted for a renewed certificate", "unit", unit)
	return r.await(ctx, []string{unit})
}

func (r *Restarter) await(ctx context.Context, units []string) error {
	ctx, cancel := context.WithTimeout(ctx, settleLimit)
	defer cancel()
	return health.Await(ctx, r.Systemd, units, nil)
}
