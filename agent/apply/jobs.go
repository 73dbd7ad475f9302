package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"slipway.build/slipway/agent/generation"
	"slipway.build/slipway/agent/health"
	"slipway.build/slipway/agent/journal"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/units/drive"
)

// merge returns the jobs after a switch to next: what differs, and what an interrupted switch
// before still owes to units that are in next, too.
func merge(owed []journal.Job, changes generation.Changes, next *generation.Generation) []journal.Job {
	var jobs []journal.Job
	add := func(unit string, action drive.Action) {
		if !slices.ContainsFunc(jobs, func(j journal.Job) bool { return j.Unit == unit }) {
			jobs = append(jobs, journal.Job{Unit: unit, Action: string(action)})
		}
	}
	for _, unit := range changes.Restart {
		add(unit, drive.Restart)
	}
	for _, job := range owed {
		here := slices.ContainsFunc(next.Plan.Units, func(u plan.Unit) bool { return u.Name == job.Unit })
		if here && drive.Action(job.Action) != drive.Stop {
			add(job.Unit, drive.Action(job.Action))
		}
	}
	for _, unit := range changes.Start {
		add(unit, drive.Start)
	}
	return jobs
}

// stop stops those of the units that systemd knows and that are not at rest.
func (t *transition) stop(ctx context.Context, units []string) error {
	states, err := t.Systemd.States(ctx, units)
	if err != nil {
		return err
	}
	var jobs []drive.Job
	for _, unit := range units {
		if active := states[unit].Active; active != "inactive" && active != "failed" {
			jobs = append(jobs, drive.Job{Unit: unit, Action: drive.Stop})
		}
	}
	return t.queueAndWait(ctx, jobs)
}

// queueAndWait queues jobs and waits until systemd has done them all.
func (t *transition) queueAndWait(ctx context.Context, jobs []drive.Job) error {
	if len(jobs) == 0 {
		return nil
	}
	results, err := t.Systemd.Queue(ctx, jobs)
	if err != nil {
		return err
	}
	var errs []error
	for err := range results {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// start queues all outstanding jobs as one batch, in which systemd orders them. It does not wait
// for their ends: health does, by the units' states. What was queued is off the list.
func (t *transition) start(ctx context.Context) error {
	jobs, err := t.due(ctx)
	if err != nil {
		return err
	}
	if len(jobs) == 0 {
		return nil
	}
	results, err := t.Systemd.Queue(ctx, jobs)
	if err != nil {
		return err
	}
	go func() {
		for err := range results {
			if err != nil && ctx.Err() == nil {
				t.Log.Info("a job did not end as done", "error", err)
			}
		}
	}()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.entry.Jobs = nil
	return t.Journal.Put(t.entry)
}

// due returns the jobs to queue now: a unit that others activate is restarted only when it runs,
// and a unit that should run and does not is started, whoever stopped it while we were away.
func (t *transition) due(ctx context.Context) ([]drive.Job, error) {
	p := t.checked.Plan
	names := make([]string, len(p.Units))
	for i, unit := range p.Units {
		names[i] = unit.Name
	}
	states, err := t.Systemd.States(ctx, names)
	if err != nil {
		return nil, err
	}
	var jobs []drive.Job
	for _, job := range t.entry.Jobs {
		i := slices.Index(names, job.Unit)
		if i < 0 || (!p.Units[i].Start && states[job.Unit].Active == "inactive") {
			continue
		}
		jobs = append(jobs, drive.Job{Unit: job.Unit, Action: drive.Action(job.Action)})
	}
	for _, unit := range p.Units {
		idle := states[unit.Name].Active == "inactive" || states[unit.Name].Active == "failed"
		if unit.Start && idle && !slices.ContainsFunc(jobs, func(j drive.Job) bool { return j.Unit == unit.Name }) {
			jobs = append(jobs, drive.Job{Unit: unit.Name, Action: drive.Start})
		}
	}
	return jobs, nil
}

// wasGood reports whether a generation can be gone back to.
func (t *transition) wasGood(number uint64) bool {
	if number == 0 {
		return false
	}
	known, err := t.Journal.Entries()
	if err != nil {
		return false
	}
	entry, ok := find(known, number)
	return ok && entry.Step == journal.Confirmed
}

// rollbackLimit bounds the wait for the generation before to be healthy again.
const rollbackLimit = 5 * time.Minute

// goBack restores the generation before, and reports it. When that one does not get healthy
// either, it stays current all the same, and the report says so.
func (t *transition) goBack(parent context.Context) error {
	failure := t.restore(parent)
	if parent.Err() != nil {
		return context.Cause(parent) // goes on at the next start
	}
	signal := t.signal(protocol.RolledBack)
	signal.Actor = t.entry.Actor
	why := "failed"
	if t.entry.Actor != "" {
		why = "was rolled back by " + t.entry.Actor
	}
	signal.Reason = fmt.Sprintf("generation %d %s, generation %d runs again", t.entry.Generation, why, t.entry.Previous)
	if failure != nil {
		signal.Reason = fmt.Sprintf("generation %d %s, and the way back to generation %d failed: %v", t.entry.Generation, why, t.entry.Previous, failure)
	}
	return errors.Join(failure, t.step(journal.Abandoned, signal))
}

// restore makes the generation before current again and undoes what differs.
func (t *transition) restore(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, rollbackLimit, errDeadline)
	defer cancel()
	failed, previous, err := t.pair()
	if err != nil {
		return err
	}
	changes := generation.Compare(failed, previous)
	if err := t.stop(ctx, changes.Stop); err != nil {
		t.Log.Warn("units of the failed generation did not stop cleanly", "error", err)
	}
	if err := t.Generations.Switch(previous.Number); err != nil {
		return err
	}
	if err := t.Systemd.Reload(ctx); err != nil {
		return err
	}
	var jobs []drive.Job
	for _, unit := range changes.Restart {
		jobs = append(jobs, drive.Job{Unit: unit, Action: drive.Restart})
	}
	for _, unit := range changes.Start {
		jobs = append(jobs, drive.Job{Unit: unit, Action: drive.Start})
	}
	if err := t.queueAndWait(ctx, jobs); err != nil {
		t.Log.Warn("units of the generation before did not start at once", "error", err)
	}
	if err := health.Await(ctx, t.Systemd, startUnits(previous.Plan), nil); err != nil {
		return fmt.Errorf("it is not healthy: %w", err)
	}
	return nil
}
