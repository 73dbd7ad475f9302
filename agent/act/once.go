package act

import (
	"context"
	"fmt"
	"time"

	"slipway.build/slipway/agent/action"
	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/journal"
	"slipway.build/slipway/agent/protocol"
)

// attempts bounds how often an action is begun: one that kills the agent must not do so for ever.
const attempts = 3

// errYield ends an action that a plan goes ahead of.
var errYield = fault.Terminalf("a plan goes ahead of it; ask again when that is done")

// limit is how long an action of the kind may take.
func limit(kind action.Kind) time.Duration {
	switch kind {
	case action.Logs:
		return 30 * time.Second
	case action.Pull:
		return time.Hour
	case action.Reboot:
		return 2 * time.Minute
	}
	return 5 * time.Minute
}

// resume takes up the actions of the journal that have not ended.
func (r *Runner) resume(ctx context.Context) error {
	records, _, err := r.Journal.Actions()
	if err != nil {
		return err
	}
	for _, record := range records {
		if record.Step == journal.ActionEnded {
			continue
		}
		request, err := action.Open(ctx, record.Delivery.Envelope, r.Keys())
		if err != nil {
			request = &action.Request{ID: record.ID, Number: record.Number}
			if err := r.end(request, record, protocol.ActionAnswer{Status: protocol.ActionFailed}, "its request cannot be read again: "+err.Error(), ""); err != nil {
				return err
			}
			continue
		}
		if err := r.takeUp(request, record); err != nil {
			return err
		}
	}
	return nil
}

// takeUp decides about one action that an earlier run of the agent left.
func (r *Runner) takeUp(request *action.Request, record journal.ActionRecord) error {
	if record.Step == journal.ActionAccepted {
		r.enqueue(waiting{request, record})
		return nil
	}
	boot, err := r.Boot()
	if err != nil {
		return err
	}
	switch {
	case request.Kind == action.Reboot && record.Boot != boot:
		return r.end(request, record, protocol.ActionAnswer{
			Status:  protocol.ActionDone,
			Results: []protocol.ActionResult{{Name: "boot", Status: protocol.ResultOK, Message: "the machine has booted anew"}},
		}, "", "")
	case !request.Kind.Repeatable():
		return r.end(request, record, protocol.ActionAnswer{Status: protocol.ActionFailed},
			"interrupted: the agent ended in the middle of it; it may have been done in part and is not repeated", "")
	case record.Attempts >= attempts:
		return r.end(request, record, protocol.ActionAnswer{Status: protocol.ActionFailed},
			fmt.Sprintf("interrupted: the agent ended in the middle of it %d times", record.Attempts), "")
	}
	r.enqueue(waiting{request, record})
	return nil
}

// do does one accepted action. An error means that ctx has ended; the action is then taken up by
// the next run.
func (r *Runner) do(ctx context.Context, w waiting) error {
	request, record := w.request, w.record
	end := func(answer protocol.ActionAnswer, reason, log string) error {
		return r.persist(ctx, func() error { return r.end(request, record, answer, reason, log) })
	}
	if status, reason := r.judge(request); status != "" && record.Step == journal.ActionAccepted {
		return end(protocol.ActionAnswer{Status: status}, reason, "")
	}
	doer := r.Doers[request.Kind]
	if doer == nil {
		return end(protocol.ActionAnswer{Status: protocol.ActionFailed}, fmt.Sprintf("this agent cannot do kind %s", request.Kind), "")
	}
	bounded, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if request.Kind.Changes() {
		yield := func() { cancel(errYield) }
		if request.Kind == action.Reboot {
			yield = nil // it is not taken back
		}
		release, holder, ok := r.turnFor(ctx, fmt.Sprintf("action %s (%s) of %s", request.ID, request.Kind, request.Actor), yield)
		if ctx.Err() != nil {
			if ok {
				release()
			}
			return context.Cause(ctx)
		}
		if !ok {
			return end(protocol.ActionAnswer{Status: protocol.ActionRefused}, "the node is changing: "+holder+"; ask again when that has ended", "")
		}
		defer release()
	}
	if err := r.persist(ctx, func() error { return r.begin(request, &record) }); err != nil {
		return err
	}
	bounded, stop := context.WithTimeoutCause(bounded, limit(request.Kind), fault.Terminalf("it did not end within %s", limit(request.Kind)))
	defer stop()
	outcome, err := doer.Do(bounded, Job{Request: request, Delivery: record.Delivery, Progress: func(p protocol.Progress) {
		r.Reporter.Progress(protocol.Signal{
			Phase: protocol.Acted, Action: &protocol.ActionAnswer{ID: request.ID, Status: protocol.ActionStarted}, Progress: &p,
		})
	}})
	if ctx.Err() != nil {
		return context.Cause(ctx) // no verdict: the agent ends
	}
	answer := protocol.ActionAnswer{Status: protocol.ActionDone, Results: outcome.Results, Output: outcome.Output}
	reason := ""
	if err != nil {
		answer.Status, reason = protocol.ActionFailed, err.Error()
	}
	return end(answer, reason, outcome.Log)
}

// patience is how long an action waits for a plan that is about to be done; a longer one is told.
const patience = 3 * time.Second

// turnFor takes the turn, or says what has it.
func (r *Runner) turnFor(ctx context.Context, what string, yield func()) (release func(), holder string, ok bool) {
	release, holder, ok = r.Turn.Try(what, yield)
	if ok {
		return release, "", true
	}
	bounded, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	release, err := r.Turn.Wait(bounded, what, yield)
	return release, holder, err == nil
}

// begin journals that the action begins; from here on it may have had effects.
func (r *Runner) begin(request *action.Request, record *journal.ActionRecord) error {
	boot, err := r.Boot()
	if err != nil {
		return err
	}
	begun := *record
	begun.Step, begun.Boot = journal.ActionBegun, boot
	begun.Attempts++
	r.Log.Info("action begins", "id", request.ID, "kind", request.Kind, "actor", request.Actor, "attempt", begun.Attempts)
	var signals []protocol.Signal
	if begun.Attempts == 1 {
		signals = append(signals, r.Reporter.Prepare(protocol.Signal{
			Phase: protocol.Acted, Action: &protocol.ActionAnswer{ID: request.ID, Status: protocol.ActionStarted},
		}))
	}
	if err := r.Journal.PutAction(begun, signals...); err != nil {
		return err
	}
	*record = begun
	r.Reporter.Queued()
	return nil
}

// end journals the verdict together with the signal that tells of it.
func (r *Runner) end(request *action.Request, record journal.ActionRecord, answer protocol.ActionAnswer, reason, log string) error {
	answer.ID = request.ID
	record.Step, record.Status, record.Ended, record.Delivery = journal.ActionEnded, answer.Status, r.Now().UTC(), protocol.ActionDelivery{}
	r.Log.Info("action ended", "id", request.ID, "kind", request.Kind, "actor", request.Actor, "status", answer.Status, "reason", reason)
	signal := r.Reporter.Prepare(protocol.Signal{Phase: protocol.Acted, Action: &answer, Reason: reason, Log: log})
	if err := r.Journal.PutAction(record, signal); err != nil {
		return err
	}
	r.Reporter.Queued()
	return nil
}
