package heat

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"slipway.build/slipway/agent/backoff"
	"slipway.build/slipway/agent/heat/ledger"
	"slipway.build/slipway/agent/heat/notify"
	"slipway.build/slipway/agent/heat/rest"
)

// Times of telling.
const (
	firstTry = 500 * time.Millisecond
	lastTry  = time.Minute     // between tries of what may work any moment
	slowTry  = 5 * time.Minute // between tries of what was refused
	giveUp   = 24 * time.Hour  // after which what is refused is refused
	// swiftSecond is Swift's: Heat ignores an object whose Last-Modified, in whole seconds, is
	// not later than its own record, so the signal of a quick deployment is put once more.
	swiftSecond = 2 * time.Second
)

// teller tells Heat of results until it has them. That a signal was accepted says only that it
// arrived: an engine that dies then has lost it, and nobody whom a server's user may ask would
// know. So it is repeated, as long as the metadata, asked right before, still lists the
// deployment: a signal for an action that is over would answer for the next one.
type teller struct {
	config   Config
	ledger   *ledger.Ledger
	sender   *notify.Sender
	gatherer *gatherer
	board    *board
	log      *slog.Logger
	wake     chan struct{}

	mu    sync.Mutex // over read and write of an entry
	tries map[string]*try
}

// try is one signal's row of tries, in memory: after a restart all are due.
type try struct {
	next   time.Time
	waits  backoff.Backoff
	reason string
}

// kick has it look at the ledger.
func (t *teller) kick() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// update changes an entry.
func (t *teller) update(id string, change func(*ledger.Entry)) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	entry, known, err := t.ledger.Get(id)
	if err != nil || !known {
		return err
	}
	change(&entry)
	if err := t.ledger.Put(entry); err != nil {
		return err
	}
	t.board.entry(entry)
	return nil
}

// run tells until ctx ends.
func (t *teller) run(ctx context.Context) error {
	t.tries = map[string]*try{}
	for {
		next, err := t.tell(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			t.log.Error("the ledger fails, trying again", "error", err)
			next = time.Now().Add(lastTry)
		}
		var timer <-chan time.Time
		if !next.IsZero() {
			timer = time.After(max(time.Until(next), 0))
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-t.wake:
		case <-timer:
		}
	}
}

// tell sends all that is due, and returns when something is due next, zero for never.
func (t *teller) tell(ctx context.Context) (time.Time, error) {
	all, err := t.ledger.All()
	if err != nil {
		return time.Time{}, err
	}
	var next time.Time
	for _, entry := range all {
		if entry.Step != ledger.Finished || !entry.Open() {
			delete(t.tries, entry.ID)
			continue
		}
		due := t.due(entry)
		if !due.After(time.Now()) {
			if err := t.one(ctx, entry); err != nil {
				return time.Time{}, err
			}
			if ctx.Err() != nil {
				return time.Time{}, nil
			}
			entry, _, err = t.ledger.Get(entry.ID)
			if err != nil {
				return time.Time{}, err
			}
			if !entry.Open() {
				continue
			}
			due = t.due(entry)
		}
		if next.IsZero() || due.Before(next) {
			next = due
		}
	}
	return next, nil
}

// due is when a signal is to be said next.
func (t *teller) due(e ledger.Entry) time.Time {
	if try := t.tries[e.ID]; try != nil {
		return try.next
	}
	t.tries[e.ID] = &try{waits: backoff.Backoff{First: firstTry, Max: lastTry}}
	if e.Telling == ledger.Sent {
		t.tries[e.ID].next = t.repeat(e)
	}
	return t.tries[e.ID].next
}

// repeat is when a signal that was accepted is said again.
func (t *teller) repeat(e ledger.Entry) time.Time {
	after := t.repeats(e.Target)[e.Repeated]
	return e.SentAt.Add(after - rand.N(after/4+1))
}

func (t *teller) repeats(to notify.Target) []time.Duration {
	switch {
	case !to.Repeatable():
		return nil
	case to.Transport == notify.TempURL:
		return append([]time.Duration{swiftSecond}, t.config.Repeats...)
	}
	return t.config.Repeats
}

// one says one signal, after it has asked whether it is still wanted. When nobody can be asked, a
// first signal is said and a repeat is not.
func (t *teller) one(ctx context.Context, e ledger.Entry) error {
	changed, answered := t.gatherer.collect(ctx)
	if changed {
		t.gatherer.soon()
	}
	if e.Telling == ledger.Sent && !answered {
		t.tries[e.ID].next = time.Now().Add(t.tries[e.ID].waits.Next())
		return nil
	}
	listed, superseded := t.gatherer.standing(e)
	switch {
	case superseded:
		t.log.Info("Heat has gone on to the next action; this result is not wanted any more", "deployment", e.ID, "name", e.Name)
		return t.update(e.ID, func(e *ledger.Entry) { e.Telling = ledger.Superseded })
	case e.Telling == ledger.Sent && !listed:
		return t.update(e.ID, func(e *ledger.Entry) { e.Telling = ledger.Settled })
	}
	payload, err := t.ledger.Result(e.ID)
	if err != nil {
		return err
	}
	if err := t.sender.Send(ctx, e.Target, payload); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return t.failed(e, err)
	}
	t.config.reached("sent")
	if err := t.update(e.ID, t.accepted); err != nil {
		return err
	}
	delete(t.tries, e.ID)
	if e.Telling == ledger.Pending {
		t.log.Info("Heat has the result", "deployment", e.ID, "name", e.Name, "transport", e.Target.Transport)
		t.gatherer.soon() // what waits for this deployment comes next
	}
	t.config.reached("told")
	return nil
}

// accepted goes on in the row of repeats.
func (t *teller) accepted(e *ledger.Entry) {
	if e.Telling == ledger.Sent {
		e.Repeated++
	}
	e.Telling, e.SentAt = ledger.Sent, time.Now().UTC()
	if e.Repeated >= len(t.repeats(e.Target)) {
		e.Telling = ledger.Settled
	}
}

// failed decides on a signal that was not accepted. Nothing is given up that may still work: a
// refusal is tried more seldom, and for a day.
func (t *teller) failed(e ledger.Entry, err error) error {
	try := t.tries[e.ID]
	status := rest.StatusOf(err)
	refused := status/100 == 4 && status != http.StatusRequestTimeout && status != http.StatusTooManyRequests
	if refused && time.Since(e.Ended) > giveUp {
		t.log.Error("Heat refuses the result; it is given up", "deployment", e.ID, "name", e.Name, "error", err)
		return t.update(e.ID, func(e *ledger.Entry) { e.Telling, e.Reason = ledger.Refused, join(e.Reason, err) })
	}
	if refused {
		try.waits.Max = slowTry
	}
	try.next = time.Now().Add(try.waits.Next())
	if try.reason != err.Error() {
		try.reason = err.Error()
		t.board.fault("signal "+e.ID, err)
		t.log.Warn("Heat does not have the result yet, trying again", "deployment", e.ID, "name", e.Name, "transport", e.Target.Transport, "error", err, "hint", hint(e, status))
	}
	return nil
}

func join(reason string, err error) string {
	if reason == "" {
		return err.Error()
	}
	return errors.Join(errors.New(reason), err).Error()
}

// hint says what to do about the refusal that operators meet most.
func hint(e ledger.Entry, status int) string {
	if e.Target.Transport == notify.CFN && status == http.StatusForbidden {
		return "a CFN_SIGNAL address is good for 15 minutes by default: raise Keystone's [credential] auth_ttl, or use signal_transport HEAT_SIGNAL"
	}
	return ""
}
