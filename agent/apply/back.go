package apply

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"slipway.build/slipway/agent/generation"
	"slipway.build/slipway/agent/health"
	"slipway.build/slipway/agent/journal"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/units/drive"
)

// rollbackLimit bounds the wait for the generation before to be healthy again.
const rollbackLimit = 5 * time.Minute

// fallback returns the generation that a failure after the switch goes back to, 0 for none.
func (t *transition) fallback() uint64 {
	entry := t.known()
	if entry.Fallback == entry.Generation {
		return 0
	}
	return entry.Fallback
}

// fail reports the root cause, once, and undoes what was begun: after the switch it goes back to
// the generation that was good before, if there is one; before the switch it starts again what
// was stopped for it.
func (t *transition) fail(ctx context.Context, cause error) error {
	t.remember()
	signals := t.failure(ctx, cause)
	undo := t.switched()
	target := t.known().Previous
	if undo {
		target = t.fallback()
	}
	verdictStep := journal.Returning
	if target == 0 || target == t.known().Generation {
		verdictStep = journal.Abandoned
	}
	jobs, err := t.undoing(undo, target)
	if err != nil {
		return errors.Join(cause, err)
	}
	err = t.insist(ctx, "journalling that the generation failed", func() error {
		return t.commit(func(entry *journal.Entry) {
			entry.Step, entry.Target, entry.Undo, entry.Jobs = verdictStep, target, undo, jobs
			entry.Reason, entry.Log = signals[0].Reason, signals[0].Log
			// All of them are told now, so none is taken up again.
			entry.Reported = entry.Further
		}, signals...)
	})
	if err != nil {
		return err
	}
	if verdictStep == journal.Returning {
		err = t.goBack(ctx)
	} else {
		t.tidy(ctx)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err == nil {
		err = t.handOver()
	}
	return errors.Join(verdict{fmt.Errorf("generation %d failed: %w", t.known().Generation, cause)}, err)
}

// remember keeps the plan that is left for whoever asks what it would have changed: its generation is
// collected. It is kept before the failure is journalled, and counts from then on.
func (t *transition) remember() {
	delivery, err := t.delivery, error(nil)
	if len(delivery.Envelope) == 0 {
		delivery, err = t.Generations.Delivery(t.entry.Generation)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return // it was never staged, and nobody has it any more
	}
	if err == nil {
		err = t.Generations.KeepFailed(t.entry.Generation, delivery)
	}
	if err != nil {
		t.Log.Warn("the plan that failed is not kept for `slipway-agent diff`", "error", err)
	}
}

// failure returns the signals that tell of a failure, that of the node's own deployment first.
func (t *transition) failure(ctx context.Context, cause error) []protocol.Signal {
	signal := t.signal(protocol.Failed)
	signal.Reason = cause.Error()
	var unit *health.UnitError
	if errors.As(cause, &unit) {
		signal.Log = t.Logs(ctx, unit.Unit, logLines)
		if words := t.LastWords(ctx, unit.Unit); words != "" {
			signal.Reason += "; it said: " + words
		}
	}
	return append([]protocol.Signal{signal}, t.further("the node's own deployment failed: "+cause.Error())...)
}

// further returns the signals that tell why the deployments beside the node's own, of which no end
// was reported, have failed.
func (t *transition) further(reason string) []protocol.Signal {
	entry := t.known()
	var signals []protocol.Signal
	for _, deployment := range entry.Further {
		if !slices.Contains(entry.Reported, deployment) {
			signals = append(signals, protocol.Signal{
				Deployment: deployment, PlanDigest: entry.PlanDigest, Phase: protocol.Failed, Reason: reason,
			})
		}
	}
	return signals
}

// undoing returns what has to be asked of systemd once target is current again.
func (t *transition) undoing(undo bool, target uint64) ([]journal.Job, error) {
	if !undo || target == 0 {
		return nil, nil
	}
	failed, err := t.Generations.Load(t.known().Generation)
	if err != nil {
		return nil, err
	}
	before, err := t.Generations.Load(target)
	if err != nil {
		return nil, err
	}
	return merge(nil, generation.Compare(failed, before), before), nil
}

// goBack restores the generation before. When a switch is undone it reports that, with what the
// generation had failed by; and when the one before does not get healthy either, it stays current
// all the same, and the report says so.
func (t *transition) goBack(parent context.Context) error {
	ctx, cancel := context.WithTimeoutCause(parent, rollbackLimit, errDeadline)
	failure := t.insist(ctx, "going back to the generation before", func() error { return t.restore(ctx) })
	cancel()
	if parent.Err() != nil {
		return context.Cause(parent) // goes on at the next start
	}
	var signals []protocol.Signal
	if entry := t.known(); entry.Undo {
		signal := t.signal(protocol.RolledBack)
		signal.Actor = entry.Actor
		why := "failed: " + entry.Reason
		if entry.Actor != "" {
			why = "was rolled back by " + entry.Actor
		}
		signal.Reason = fmt.Sprintf("generation %d %s; generation %d runs again", entry.Generation, why, entry.Target)
		if failure != nil {
			signal.Reason = fmt.Sprintf("generation %d %s; and the way back to generation %d failed, too: %v", entry.Generation, why, entry.Target, failure)
		}
		signal.Log = entry.Log
		signals = append(signals, signal)
	}
	err := t.insist(parent, "journalling the way back", func() error {
		return t.commit(func(entry *journal.Entry) { entry.Step, entry.Jobs = journal.Abandoned, nil }, signals...)
	})
	if err != nil {
		return err
	}
	t.tidy(parent)
	if failure != nil {
		return verdict{failure}
	}
	return nil
}

// restore makes the target current again, has systemd do what differs, and waits until it is
// healthy. Where the switch had not happened, only what was stopped for it is started and waited for.
func (t *transition) restore(ctx context.Context) error {
	before, err := t.Generations.Load(t.known().Target)
	if err != nil {
		return err
	}
	if t.known().Undo {
		if err := t.unswitch(ctx, before); err != nil {
			return err
		}
	}
	jobs, err := t.due(ctx, before.Plan)
	if err != nil {
		return err
	}
	if err := t.queueAndWait(ctx, jobs); err != nil {
		t.Log.Warn("units of the generation before did not start at once", "error", err)
	}
	units := startUnits(before.Plan)
	if !t.known().Undo {
		units = slices.DeleteFunc(units, func(unit string) bool {
			return !slices.ContainsFunc(jobs, func(j drive.Job) bool { return j.Unit == unit })
		})
	}
	if err := health.Await(ctx, t.Systemd, units, nil); err != nil {
		return fmt.Errorf("it is not healthy: %w", err)
	}
	return nil
}

func (t *transition) unswitch(ctx context.Context, before *generation.Generation) error {
	failed, err := t.Generations.Load(t.known().Generation)
	if err != nil {
		return err
	}
	if err := t.stop(ctx, generation.Compare(failed, before).Stop); err != nil {
		t.Log.Warn("units of the failed generation did not stop cleanly", "error", err)
	}
	if err := t.Generations.Switch(before.Number); err != nil {
		return err
	}
	return t.Systemd.Reload(ctx)
}

// due returns the jobs to queue now: those outstanding, but that a unit that others activate is
// restarted only when it runs; and a unit that should run and does not is started, whoever
// stopped it while we were away.
func (t *transition) due(ctx context.Context, p *plan.Plan) ([]drive.Job, error) {
	names := make([]string, len(p.Units))
	for i, unit := range p.Units {
		names[i] = unit.Name
	}
	states, err := t.Systemd.States(ctx, names)
	if err != nil {
		return nil, err
	}
	var jobs []drive.Job
	for _, job := range t.known().Jobs {
		i := slices.Index(names, job.Unit)
		if i < 0 || (!p.Units[i].Start && states[job.Unit].Active == "inactive") {
			continue
		}
		jobs = append(jobs, drive.Job{Unit: job.Unit, Action: drive.Action(job.Action)})
	}
	for _, unit := range p.Units {
		idle := states[unit.Name].Active == "inactive" || states[unit.Name].Active == "failed" || states[unit.Name].Active == "deactivating"
		if unit.Start && idle && !slices.ContainsFunc(jobs, func(j drive.Job) bool { return j.Unit == unit.Name }) {
			jobs = append(jobs, drive.Job{Unit: unit.Name, Action: drive.Start})
		}
	}
	return jobs, nil
}
