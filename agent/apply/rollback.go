package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/journal"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/agent/trust"
)

// ErrByHand is the cause with which an application is cancelled when somebody on the node asked
// to go back.
var ErrByHand = errors.New("somebody on the node asked to go back to the generation before")

// RollBack goes back to the newest confirmed generation before the current one because actor, a
// person on the node, asked for it; a plan that is not switched to yet is given up instead. The
// generation that is left counts as abandoned: its plan is not applied again, only a newer one is.
// It says in words what was done. No other application may be under way.
func (a *Applier) RollBack(ctx context.Context, actor string) (string, error) {
	known, err := a.Journal.Entries()
	if err != nil {
		return "", err
	}
	current, err := a.Generations.CurrentNumber()
	if err != nil {
		return "", err
	}
	if n := len(known); n > 0 && known[n-1].Generation > current && !slices.Contains([]journal.Step{journal.Abandoned, journal.Returning}, known[n-1].Step) {
		return a.giveUp(known[n-1], current, actor)
	}
	entry, ok := find(known, current)
	if current == 0 || !ok {
		return "", fault.Terminalf("there is no generation to go back from")
	}
	g, err := a.Generations.Load(current)
	if err != nil {
		return "", err
	}
	t := newTransition(a, &trust.Checked{Plan: g.Plan, Digest: entry.PlanDigest}, protocol.Delivery{}, entry)
	if entry.Step != journal.Returning {
		target, err := a.before(known, current)
		if err != nil {
			return "", err
		}
		jobs, err := t.undoing(true, target)
		if err != nil {
			return "", err
		}
		err = t.commit(func(entry *journal.Entry) {
			entry.Step, entry.Actor, entry.Target, entry.Undo, entry.Jobs = journal.Returning, actor, target, true, jobs
			entry.Reason = "rolled back by " + actor
		})
		if err != nil {
			return "", err
		}
	}
	target := t.known().Target
	a.Log.Warn("going back by hand", "from", current, "to", target, "actor", actor)
	if err := t.run(ctx); err != nil {
		return "", err
	}
	return fmt.Sprintf("generation %d was rolled back; generation %d runs again, and plan %d is not applied any more", current, target, current), nil
}

// giveUp abandons a plan that has not been switched to.
func (a *Applier) giveUp(entry journal.Entry, current uint64, actor string) (string, error) {
	entry.Step, entry.Actor, entry.Reason = journal.Abandoned, actor, "given up by "+actor+" before the switch"
	signal := a.Reporter.Prepare(identified(protocol.Signal{
		Deployment: entry.Deployment, PlanDigest: entry.PlanDigest, Phase: protocol.Failed, Actor: actor, Reason: entry.Reason,
	}))
	if err := a.Journal.Put(entry, signal); err != nil {
		return "", err
	}
	a.Reporter.Queued()
	return fmt.Sprintf("plan %d, which was not switched to yet, is given up; generation %d runs on", entry.Generation, current), nil
}

// before finds the newest confirmed generation before the current one that is on disk and holds.
func (a *Applier) before(known []journal.Entry, current uint64) (uint64, error) {
	reason := errors.New("no confirmed generation before it is on this node")
	for i := len(known) - 1; i >= 0; i-- {
		entry := known[i]
		if entry.Generation >= current || entry.Step != journal.Confirmed {
			continue
		}
		delivery, err := a.Generations.Delivery(entry.Generation)
		if err == nil {
			_, err = a.Trust.Recheck(delivery, entry.PlanDigest)
		}
		if err == nil {
			_, err = a.Generations.Load(entry.Generation)
		}
		if err == nil {
			return entry.Generation, nil
		}
		reason = err
	}
	return 0, fault.Terminalf("generation %d cannot be rolled back: %w", current, reason)
}

// Abandoned reports whether a plan was given up on this node, so that it is not applied again.
func (a *Applier) Abandoned(checked *trust.Checked) bool {
	known, err := a.Journal.Entries()
	if err != nil {
		return false // to apply it says the error
	}
	entry, ok := find(known, checked.Plan.Generation)
	return ok && entry.PlanDigest == checked.Digest && entry.Step == journal.Abandoned
}
