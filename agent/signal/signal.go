// Package signal reports to the control plane. Phases are written to a durable outbox before
// they are sent and are sent, in order, until they are accepted; progress within a phase is
// kept in memory, the latest only, and leaves at most once a second.
package signal

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"slipway.build/slipway/agent/backoff"
	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/journal"
	"slipway.build/slipway/agent/protocol"
)

const (
	// batch bounds the signals of one call.
	batch = 64
	// maxLog bounds a signal's log excerpt in bytes; the end is what counts.
	maxLog = 8 << 10
	// maxReason bounds a signal's reason and the message of a condition, maxMessage the message of one
	// result of an action and one output of a task.
	maxReason  = 8 << 10
	maxMessage = 1 << 10
	// pace is the least time between two progress reports.
	pace = time.Second
)

// Outbox takes signals from the agent and has a Sender deliver them.
type Outbox struct {
	journal *journal.Journal
	node    string
	now     func() time.Time
	log     *slog.Logger
	secrets func() []string
	wake    chan struct{}

	mu       sync.Mutex
	progress map[string]protocol.Signal // by what it is about
	last     time.Time                  // of the last progress report
	// scheduled says that the sender knows of the progress, and will come for it.
	scheduled bool
}

// New returns the outbox of a node. secrets, when not nil, returns the literals that must never
// leave it.
func New(j *journal.Journal, node string, secrets func() []string, log *slog.Logger) *Outbox {
	if secrets == nil {
		secrets = func() []string { return nil }
	}
	return &Outbox{
		journal: j, node: node, now: time.Now, log: log, secrets: secrets,
		wake: make(chan struct{}, 1), progress: map[string]protocol.Signal{},
	}
}

// Report writes a signal to the outbox; it leaves even if the agent dies now.
func (o *Outbox) Report(signal protocol.Signal) error {
	if err := o.journal.Enqueue(o.Prepare(signal)); err != nil {
		return err
	}
	o.Queued()
	return nil
}

// Prepare completes a signal that the caller writes to the journal together with what it is
// about: its id, time and node, and no secrets. Call Queued afterwards.
func (o *Outbox) Prepare(signal protocol.Signal) protocol.Signal {
	o.mu.Lock()
	delete(o.progress, about(signal)) // a phase is news that outdates progress
	o.mu.Unlock()
	o.fill(&signal)
	o.clean(&signal)
	return signal
}

// Queued has the sender look at the outbox at once.
func (o *Outbox) Queued() { o.kick() }

// Progress replaces the unsent progress of the signal's deployment or action. It is cheap: it may be
// called for every piece of a download.
func (o *Outbox) Progress(signal protocol.Signal) {
	o.mu.Lock()
	o.progress[about(signal)] = signal
	idle := !o.scheduled
	o.scheduled = true
	o.mu.Unlock()
	if idle {
		o.kick()
	}
}

func (o *Outbox) fill(signal *protocol.Signal) {
	if signal.ID == "" {
		signal.ID = uuid.NewString()
	}
	signal.Node = o.node
	signal.Time = o.now().UTC()
}

func (o *Outbox) kick() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// Sender is the receiving side, such as the node API. Repeating a signal is safe there.
type Sender interface {
	Signals(context.Context, []protocol.Signal) error
}

// Run delivers what is in the outbox until ctx ends. Only one Run may be active.
func (o *Outbox) Run(ctx context.Context, sender Sender) error {
	var waits backoff.Backoff
	for {
		next, err := o.deliver(ctx, sender)
		if err != nil && ctx.Err() == nil {
			o.log.Warn("signals are not delivered, trying again", "error", err)
			if err := waits.Wait(ctx); err != nil {
				return err
			}
			continue
		}
		waits.Reset()
		var timer <-chan time.Time
		if next > 0 {
			timer = time.After(next)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-o.wake:
		case <-timer:
		}
	}
}

// Flush delivers what is durable in the outbox, once.
func (o *Outbox) Flush(ctx context.Context, sender Sender) error {
	_, err := o.deliver(ctx, sender)
	return err
}

// deliver sends all queued signals, then progress if its time has come. It returns after how
// long held back progress may leave, 0 when there is none.
func (o *Outbox) deliver(ctx context.Context, sender Sender) (time.Duration, error) {
	for {
		queued, err := o.journal.Queue(batch)
		if err != nil {
			return 0, err
		}
		if len(queued) == 0 {
			break
		}
		if err := o.send(ctx, sender, queued); err != nil {
			return 0, err
		}
	}
	ready, next := o.takeProgress()
	if len(ready) == 0 {
		return next, nil
	}
	if err := sender.Signals(ctx, ready); err != nil {
		o.log.Debug("progress is not delivered", "error", err)
	}
	return next, nil
}

func (o *Outbox) send(ctx context.Context, sender Sender, queued []journal.Queued) error {
	signals := make([]protocol.Signal, len(queued))
	for i := range queued {
		signals[i] = queued[i].Signal
	}
	err := sender.Signals(ctx, signals)
	switch {
	case err == nil:
		return o.journal.Accepted(queued)
	case !fault.IsTerminal(err):
		return err
	case len(queued) > 1:
		// One of them is refused for good: find it, and let the others pass.
		for _, one := range queued {
			if err := o.send(ctx, sender, []journal.Queued{one}); err != nil {
				return err
			}
		}
		return nil
	default:
		o.log.Error("the control plane refuses a signal; it is dropped", "deployment", signals[0].Deployment, "phase", signals[0].Phase, "error", err)
		if err := o.journal.Accepted(queued); err != nil {
			return fmt.Errorf("drop a refused signal: %w", err)
		}
		return nil
	}
}

func (o *Outbox) takeProgress() ([]protocol.Signal, time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.progress) == 0 {
		o.scheduled = false
		return nil, 0
	}
	if since := o.now().Sub(o.last); since >= 0 && since < pace {
		return nil, pace - since
	}
	var ready []protocol.Signal
	o.scheduled = false
	for key, signal := range o.progress {
		o.fill(&signal)
		ready = append(ready, signal)
		delete(o.progress, key)
	}
	o.last = o.now()
	return ready, 0
}
