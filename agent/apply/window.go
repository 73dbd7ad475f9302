package apply

import (
	"context"
	"fmt"
	"time"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/health"
	"slipway.build/slipway/agent/journal"
	"slipway.build/slipway/agent/protocol"
)

const (
	// forgiven is how often a unit may end by itself after it was active once: a component may
	// lose a peer that is being replaced. After each such end it has to last a whole window.
	forgiven = 1
	// look bounds how long an end of a unit could go unnoticed.
	look = time.Second
)

// endure waits until the units of the generation have lasted for the plan's confirmation window
// since they were all active. A unit that has failed, or has ended by itself once more than is
// forgiven, ends it with a terminal health.UnitError. Where there is nothing to go back to the
// wait would be for nothing, and there is none.
func (t *transition) endure(ctx context.Context) error {
	window := time.Duration(t.checked.Plan.Confirm)
	if window <= 0 || t.fallback() == 0 {
		return nil
	}
	if t.known().Step != journal.Settled {
		if err := t.step(journal.Settled); err != nil {
			return err
		}
	}
	units := startUnits(t.checked.Plan)
	before, err := t.restarts(ctx, units)
	if err != nil {
		return err
	}
	ends := map[string]uint32{}
	for since, told := time.Now(), ""; ; {
		changed := t.Systemd.Changed()
		now, err := t.restarts(ctx, units)
		if err != nil {
			return err
		}
		for unit, restarts := range now {
			if restarts == before[unit] {
				continue
			}
			if restarts > before[unit] {
				ends[unit] += restarts - before[unit]
			}
			before[unit], since = restarts, time.Now()
			if ends[unit] > forgiven {
				return &fault.Error{Kind: fault.Terminal, Err: &health.UnitError{Unit: unit,
					Detail: fmt.Sprintf("was active, and then ended by itself %d times within the confirmation window of %s", ends[unit], window)}}
			}
		}
		// A unit that is being started again has its window before it.
		if err := t.active(ctx, units); err != nil {
			return err
		}
		left := window - time.Since(since)
		if left <= 0 {
			return nil
		}
		if waiting := fmt.Sprintf("that all units stay active for %s", window); waiting != told {
			told = waiting
			t.progress(protocol.Switched, protocol.Progress{UnitsActive: len(units), UnitsTotal: len(units), Waiting: waiting})
		}
		timer := time.NewTimer(min(left, look))
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
		timer.Stop()
	}
}

// active waits until the units are active; a unit that is started again has the plan's deadline
// for it, from now.
func (t *transition) active(ctx context.Context, units []string) error {
	deadline := t.checked.Plan.Deadline
	ctx, cancel := context.WithTimeoutCause(ctx, time.Duration(deadline), fmt.Errorf("%w (%s for starting again)", errDeadline, deadline))
	defer cancel()
	return health.Await(ctx, t.Systemd, units, nil)
}

// restarts returns how often systemd has restarted each unit by itself.
func (t *transition) restarts(ctx context.Context, units []string) (map[string]uint32, error) {
	out := map[string]uint32{}
	for _, unit := range units {
		status, err := t.Systemd.Status(ctx, unit)
		if err != nil {
			return nil, err
		}
		out[unit] = status.Restarts
	}
	return out, nil
}
