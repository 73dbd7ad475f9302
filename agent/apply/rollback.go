package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/journal"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/agent/trust"
)

// ErrByHand is the cause with which an application is cancelled when somebody on the node asked
// to go back.
var ErrByHand = errors.New("somebody on the node asked to go back to the generation before")

// RollBack goes back to the newest confirmed generation before the current one because actor, a
// person on the node, asked for it; a plan that is not switched to yet is given up instead, and what
// was stopped for it starts again. A way back that was interrupted is gone to its end, and no
// further. The generation that is left counts as abandoned: its plan is not applied again, only a
// newer one is. It says in words what was done. No other application may be under way.
func (a *Applier) RollBack(ctx context.Context, actor string) (string, error) {
	known, err := a.Journal.Entries()
	if err != nil {
		return "", err
	}
	current, err := a.Generations.CurrentNumber()
	if err != nil {
		return "", err
	}
	t, err := a.leave(known, current, actor)
	if err != nil {
		return "", err
	}
	entry := t.known()
	a.Log.Warn("going back by hand", "from", entry.Generation, "to", entry.Target, "switched", entry.Undo, "actor", actor)
	if entry.Step == journal.Returning {
		if err := t.run(ctx); err != nil {
			return "", err
		}
	}
	switch {
	case entry.Undo:
		return fmt.Sprintf("generation %d was rolled back; generation %d runs again, and plan %[1]d is not applied any more", entry.Generation, entry.Target), nil
	case entry.Target == 0:
		return fmt.Sprintf("plan %d, which was not switched to yet, is given up; there was none before it", entry.Generation), nil
	}
	return fmt.Sprintf("plan %d, which was not switched to yet, is given up; generation %d runs on", entry.Generation, entry.Target), nil
}

// leave journals which generation is left, and returns its transition with the way back before it.
func (a *Applier) leave(known []journal.Entry, current uint64, actor string) (*transition, error) {
	for _, entry := range slices.Backward(known) {
		switch {
		case !unfinished(entry) || superseded(entry, known, current):
		case entry.Step == journal.Returning:
			return a.byHand(entry), nil // interrupted
		case entry.Generation > current:
			return a.giveUp(entry, current, actor)
		}
	}
	entry, ok := find(known, current)
	if current == 0 || !ok {
		return nil, fault.Terminalf("there is no generation to go back from")
	}
	target, err := a.before(known, current)
	if err != nil {
		return nil, err
	}
	t := a.byHand(entry)
	jobs, err := t.undoing(true, target)
	if err != nil {
		return nil, err
	}
	t.remember()
	reason := "rolled back by " + actor
	return t, t.commit(func(entry *journal.Entry) {
		entry.Step, entry.Actor, entry.Target, entry.Undo, entry.Jobs = journal.Returning, actor, target, true, jobs
		entry.Reason, entry.Reported = reason, entry.Further
	}, t.further("the node's generation was "+reason)...)
}

// byHand returns the transition of an entry of which nothing but the way back is to be done.
func (a *Applier) byHand(entry journal.Entry) *transition {
	return newTransition(a, &trust.Checked{Plan: new(plan.Plan), Digest: entry.PlanDigest}, protocol.Delivery{}, entry)
}

// giveUp leaves a plan that has not been switched to.
func (a *Applier) giveUp(entry journal.Entry, current uint64, actor string) (*transition, error) {
	t := a.byHand(entry)
	t.remember()
	reason := "given up by " + actor + " before the switch"
	signal := t.signal(protocol.Failed)
	signal.Actor, signal.Reason = actor, reason
	step := journal.Returning
	if current == 0 {
		step = journal.Abandoned // nothing ran that could have been stopped
	}
	return t, t.commit(func(entry *journal.Entry) {
		entry.Step, entry.Actor, entry.Target, entry.Undo, entry.Jobs = step, actor, current, false, nil
		entry.Reason, entry.Reported = reason, entry.Further
	}, append([]protocol.Signal{signal}, t.further("the node's plan was "+reason)...)...)
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
