package heat

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"slipway.build/slipway/agent/backoff"
	"slipway.build/slipway/agent/heat/hooks"
	"slipway.build/slipway/agent/heat/ledger"
	"slipway.build/slipway/agent/heat/metadata"
	"slipway.build/slipway/agent/heat/notify"
)

// remembered is how long a deployment that is no longer listed is remembered in the ledger.
const remembered = 90 * 24 * time.Hour

// beat is between two lines in the log about a deployment that goes on.
const beat = time.Minute

// worker runs what the newest view lists, in its order, each deployment once.
type worker struct {
	config   Config
	ledger   *ledger.Ledger
	gatherer *gatherer
	teller   *teller
	board    *board
	log      *slog.Logger

	said string // the last fault, so that it is logged once
}

// run works until ctx ends. What failed for a reason of this machine is tried again.
func (w *worker) run(ctx context.Context) error {
	if err := w.recover(); err != nil {
		return err
	}
	waits := backoff.Backoff{First: time.Second, Max: time.Minute}
	done := uint64(0)
	for {
		v, changed := w.gatherer.latest()
		var retry <-chan time.Time
		if v.number > done {
			err := w.apply(ctx, v)
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			w.say(err)
			if err == nil {
				waits.Reset()
				done = v.number
				debug.FreeOSMemory() // from here on this process mostly waits
			} else {
				retry = time.After(waits.Next())
			}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-changed:
		case <-retry:
		}
	}
}

func (w *worker) say(err error) {
	said := ""
	if err != nil {
		said = err.Error()
	}
	if said != w.said {
		w.said = said
		w.board.fault("work", err)
		if err != nil {
			w.log.Error("the change is not done and not committed, trying again", "error", err)
		}
	}
}

// apply does what a view lists. It commits the view only when everything in it was done or has
// failed in a way that Heat is told; otherwise it returns an error and is to be called again.
func (w *worker) apply(ctx context.Context, v view) error {
	var errs []error
	for _, d := range v.deployments {
		if d.Merged() {
			continue
		}
		if err := w.deployment(ctx, d); err != nil {
			errs = append(errs, fmt.Errorf("deployment %s (%s): %w", d.ID, d.Name, err))
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if newest, _ := w.gatherer.latest(); newest.number != v.number {
			return nil // the newer view lists what is left of this one
		}
	}
	if err := w.merged(ctx, v); err != nil {
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if len(v.faults) > 0 {
		return nil // logged; another try cannot help, and committed it is not
	}
	if err := w.gatherer.commit(v); err != nil {
		return err
	}
	w.config.reached("committed")
	return w.ledger.Forget(time.Now().Add(-remembered))
}

// merged ends the deployments that are configuration and nothing to run: their files are in
// place. A command of the operator's is run first, as os-collect-config ran os-refresh-config.
func (w *worker) merged(ctx context.Context, v view) error {
	result := notify.Result{}
	if v.command != "" && v.command != "os-refresh-config" && !w.gatherer.committed(v) {
		var err error
		if result, err = w.config.Hooks.Command(ctx, v.command, w.gatherer.paths(v)); err != nil {
			return err
		}
		if result.Status != 0 {
			w.log.Error("the command of the metadata failed", "status", result.Status)
		}
	}
	var errs []error
	for _, d := range v.deployments {
		if !d.Merged() {
			continue
		}
		entry, known, err := w.ledger.Get(d.ID)
		if err != nil || known && entry.Step == ledger.Finished {
			errs = append(errs, err, w.listed(entry))
			continue
		}
		own := result
		if _, err := metadata.Parse("config", d.Config); err != nil {
			own = notify.Failure(hooks.StatusRefused, "its configuration is not a JSON object, so it cannot be merged")
		}
		errs = append(errs, w.finish(ctx, newEntry(d, ledger.Accepted), own))
	}
	if result.Status != 0 {
		errs = append(errs, fmt.Errorf("the command of the metadata ended with status %d", result.Status))
	}
	return errors.Join(errs...)
}

// listed remembers, once a day, that a finished deployment is still listed.
func (w *worker) listed(e ledger.Entry) error {
	if e.Step != ledger.Finished || time.Since(e.Listed) < 24*time.Hour {
		return nil
	}
	// The teller may change the entry at the same time; it is the one who keeps it then.
	return w.teller.update(e.ID, func(e *ledger.Entry) { e.Listed = time.Now().UTC() })
}

func newEntry(d metadata.Deployment, step ledger.Step) ledger.Entry {
	return ledger.Entry{
		ID: d.ID, Name: d.Name, Group: d.Group, Resource: d.Input("deploy_resource_name"), Stack: d.Input("deploy_stack_id"),
		Step: step, Began: time.Now().UTC(), Target: notify.TargetOf(d), Listed: time.Now().UTC(),
	}
}
