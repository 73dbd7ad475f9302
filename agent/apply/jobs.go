package apply

import (
	"context"
	"slices"

	"slipway.build/slipway/agent/generation"
	"slipway.build/slipway/agent/journal"
	"slipway.build/slipway/agent/plan"
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

// stop stops those of the units that systemd knows and that are not at rest, and has it forget the
// failures of those that are.
func (t *transition) stop(ctx context.Context, units []string) error {
	states, err := t.Systemd.States(ctx, units)
	if err != nil {
		return err
	}
	var jobs []drive.Job
	for _, unit := range units {
		if states[unit].Active != "inactive" {
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
	return drive.Wait(results)
}

// start queues all outstanding jobs as one batch, in which systemd orders them. It does not wait
// for their ends: health does, by the units' states. What was queued is off the list. The results
// come on the channel until ctx ends.
func (t *transition) start(ctx context.Context) (results <-chan error, err error) {
	jobs, err := t.due(ctx, t.checked.Plan)
	if err != nil {
		return nil, err
	}
	if results, err = t.Systemd.Queue(ctx, jobs); err != nil || len(jobs) == 0 {
		return results, err
	}
	return results, t.commit(func(entry *journal.Entry) { entry.Jobs = nil })
}
