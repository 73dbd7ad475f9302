package act

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"slipway.build/slipway/agent/action"
	"slipway.build/slipway/agent/backoff"
	"slipway.build/slipway/agent/journal"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/agent/turn"
)

// Doer does one kind of action. The error is the reason of a failed action; the outcome is
// reported with it. A Doer whose ctx ends returns soon.
type Doer interface {
	Do(ctx context.Context, job Job) (Outcome, error)
}

// Job is one action that is being done.
type Job struct {
	Request  *action.Request
	Delivery protocol.ActionDelivery
	// Progress may be called often.
	Progress func(protocol.Progress)
}

// Outcome is what an action did or found.
type Outcome struct {
	Results []protocol.ActionResult
	Output  string
	Log     string // of a unit, when it failed
}

// Reporter takes signals, as apply.Reporter.
type Reporter interface {
	Prepare(protocol.Signal) protocol.Signal
	Queued()
	Progress(protocol.Signal)
}

// Runner does the actions of one node.
type Runner struct {
	Node     string
	Keys     func() []protocol.PlanKey
	Journal  *journal.Journal
	Reporter Reporter
	Turn     *turn.Turn
	// Doers by kind; a kind without one is refused.
	Doers map[action.Kind]Doer
	// Boot identifies the current boot of the machine.
	Boot func() (string, error)
	Now  func() time.Time
	Log  *slog.Logger

	mu    sync.Mutex
	inbox queue[protocol.ActionDelivery]
	lanes [2]queue[waiting]
	taken map[string]bool // ids that are in a lane or were in this run
	seen  map[string]bool // digests of envelopes of this run
}

// The two lanes: what only looks never waits for what changes something.
const (
	looking = iota
	changing
)

// waiting is an accepted action whose turn has not come.
type waiting struct {
	request *action.Request
	record  journal.ActionRecord
}

// maxSeen bounds the memory of envelopes; past it, one that comes again is judged again.
const maxSeen = 4096

// Offer hands over the actions of a delivery, for Run to judge and do. The same envelope may be
// offered often.
func (r *Runner) Offer(deliveries []protocol.ActionDelivery) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen == nil || len(r.seen) > maxSeen {
		r.seen = map[string]bool{}
	}
	for _, delivery := range deliveries {
		if digest := plan.DigestOf(delivery.Envelope); !r.seen[digest] {
			r.seen[digest] = true
			r.inbox.put(delivery)
		}
	}
}

// Run takes up what an earlier run left, and does actions until ctx ends. It is called once.
func (r *Runner) Run(ctx context.Context) error {
	if err := r.persist(ctx, func() error { return r.resume(ctx) }); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return serve(ctx, &r.mu, &r.inbox, func(delivery protocol.ActionDelivery) error {
			return r.persist(ctx, func() error { return r.offer(ctx, delivery) })
		})
	})
	for i := range r.lanes {
		group.Go(func() error {
			return serve(ctx, &r.mu, &r.lanes[i], func(w waiting) error { return r.do(ctx, w) })
		})
	}
	return group.Wait()
}

// persist repeats what has to be written until it is, or ctx ends: a disk that is full now must
// neither lose an answer nor have an action done twice.
func (r *Runner) persist(ctx context.Context, write func() error) error {
	waits := backoff.Backoff{First: 100 * time.Millisecond, Max: 10 * time.Second}
	for {
		err := write()
		if err == nil {
			return nil
		}
		r.Log.Error("an action waits for the journal", "error", err)
		if err := waits.Wait(ctx); err != nil {
			return err
		}
	}
}

// offer judges one delivery. An error means that it could not be judged now.
func (r *Runner) offer(ctx context.Context, delivery protocol.ActionDelivery) error {
	request, err := action.Open(ctx, delivery.Envelope, r.Keys())
	if err != nil {
		return r.refuse(action.ClaimOf(delivery.Envelope), protocol.ActionRefused, err.Error())
	}
	record := journal.ActionRecord{
		ID: request.ID, Number: request.Number, Digest: plan.DigestOf(delivery.Envelope), Step: journal.ActionAccepted, Delivery: delivery,
	}
	known, err := r.Journal.Action(request.ID)
	switch {
	case err == nil && known.Digest != record.Digest:
		return r.refuse(request.ID, protocol.ActionRefused, "replayed: another request of the same id is here")
	case err == nil && known.Step == journal.ActionEnded:
		return r.refuse(request.ID, protocol.ActionRefused, fmt.Sprintf("replayed: it ended as %s at %s", known.Status, known.Ended.UTC().Format(time.RFC3339)))
	case err == nil:
		return nil // it is under way
	case !errors.Is(err, journal.ErrNoAction):
		return err
	}
	if request.Node != r.Node {
		return r.refuse(request.ID, protocol.ActionRefused, fmt.Sprintf("it is for node %s, this is node %s", request.Node, r.Node))
	}
	_, floor, err := r.Journal.Actions()
	if err != nil {
		return err
	}
	if request.Number <= floor {
		return r.refuse(request.ID, protocol.ActionRefused, fmt.Sprintf("replayed: number %d is not above %d, up to which all actions have ended", request.Number, floor))
	}
	if status, reason := r.judge(request); status != "" {
		return r.end(request, record, protocol.ActionAnswer{Status: status}, reason, "")
	}
	if err := r.Journal.PutAction(record); err != nil {
		return err
	}
	r.Log.Info("action accepted", "id", request.ID, "kind", request.Kind, "actor", request.Actor)
	r.enqueue(waiting{request, record})
	return nil
}

// early is how far ahead a request's time of issue may be: clocks differ.
const early = 5 * time.Minute

// judge says why a request must not be begun now; an empty status means that it may.
func (r *Runner) judge(request *action.Request) (protocol.ActionStatus, string) {
	now := r.Now()
	switch {
	case !now.Before(request.Expires):
		return protocol.ActionExpired, fmt.Sprintf("it expired at %s, and this node's clock says %s", request.Expires.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	case request.Issued.After(now.Add(early)):
		return protocol.ActionRefused, fmt.Sprintf("it was issued at %s, which is in the future: this node's clock says %s", request.Issued.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	case r.Doers[request.Kind] == nil:
		return protocol.ActionRefused, fmt.Sprintf("this agent cannot do kind %s", request.Kind)
	}
	return "", ""
}

// refuse reports a request that leaves no record, so that nobody can spoil another's id.
func (r *Runner) refuse(id string, status protocol.ActionStatus, reason string) error {
	r.Log.Warn("an action is refused", "id", id, "reason", reason)
	if id == "" {
		return nil // nobody waits for an answer
	}
	err := r.Journal.Enqueue(r.Reporter.Prepare(protocol.Signal{
		Phase: protocol.Acted, Action: &protocol.ActionAnswer{ID: id, Status: status}, Reason: reason,
	}))
	r.Reporter.Queued()
	return err
}

func (r *Runner) enqueue(w waiting) {
	lane := looking
	if w.request.Kind.Changes() || w.request.Kind == action.Pull {
		lane = changing
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.taken == nil {
		r.taken = map[string]bool{}
	}
	if !r.taken[w.request.ID] {
		r.taken[w.request.ID] = true
		r.lanes[lane].put(w)
	}
}
