package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"slipway.build/slipway/agent/act"
	"slipway.build/slipway/agent/apply"
	"slipway.build/slipway/agent/footprint"
	"slipway.build/slipway/agent/generator"
	"slipway.build/slipway/agent/journal"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/agent/status"
	"slipway.build/slipway/units/drive"
)

// planSource delivers plans.
type planSource interface {
	Next(context.Context) (protocol.Delivery, error)
}

// follower applies what the source delivers, the newest only.
type follower struct {
	applier *apply.Applier
	source  planSource
	status  *statusWriter
	log     *slog.Logger
	contact chan struct{} // closed with the source's first answer
	actions *act.Runner
	told    string // digests of the plan and the lock that were delivered last
	settled func() // called after each end of an application

	end     context.CancelCauseFunc // ends the agent
	mu      sync.Mutex              // held while it is decided what is applied
	running *application
	ended   bool // nobody waits for an application any more
}

// application is one plan being applied by a goroutine of the follower.
type application struct {
	digest string
	cancel context.CancelCauseFunc
	done   chan struct{}
}

// run goes on where an earlier run stopped, without waiting for the source, and then follows it.
func (f *follower) run(ctx context.Context) error {
	defer f.end(nil)
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.stop(context.Canceled)
		f.ended = true
	}()
	// Rubbish is no reason not to work, and a bad disk none to end.
	if err := errors.Join(f.applier.Sweep(), f.applier.Collect(ctx)); err != nil {
		f.log.Warn("what an earlier run left could not all be removed", "error", err)
	}
	if err := f.load(ctx); err != nil {
		return err
	}
	if delivery, ok := f.unfinished(); ok {
		f.apply(ctx, delivery)
	}
	for first := true; ; {
		delivery, err := f.source.Next(ctx)
		if err != nil {
			return err
		}
		if first {
			first = false
			close(f.contact)
			if err := f.atWork(); err != nil {
				return err
			}
		}
		f.take(ctx, delivery)
	}
}

// take applies the plan of a delivery when it is news, and hands on the actions; a delivery may
// bring nothing but these.
func (f *follower) take(ctx context.Context, delivery protocol.Delivery) {
	actions := delivery.Actions
	delivery.Actions = nil
	told := fmt.Sprint(plan.DigestOf(delivery.Envelope), plan.DigestOf(delivery.LockBytes), len(delivery.PlanKeys), len(delivery.LockKeys))
	switch {
	case len(delivery.Envelope) == 0:
		if err := f.applier.Learn(ctx, delivery); err != nil {
			f.log.Error("statements of keys are refused", "error", err)
		}
	case told != f.told:
		f.told = told
		f.apply(ctx, delivery)
	}
	f.actions.Offer(actions) // by the keys that are believed now
}

// load has systemd read the current generation's units when its generator ran too early in the
// boot to see them, and starts what should run.
func (f *follower) load(ctx context.Context) error {
	names, err := generator.StartList(f.applier.Generations.Current())
	if err != nil || len(names) == 0 {
		return err
	}
	states, err := f.applier.Systemd.States(ctx, names)
	if err != nil {
		return err
	}
	var jobs []drive.Job
	for _, name := range names {
		if states[name].Load == "not-found" {
			jobs = append(jobs, drive.Job{Unit: name, Action: drive.Start})
		}
	}
	if len(jobs) == 0 {
		return nil
	}
	if err := f.applier.Systemd.Reload(ctx); err != nil {
		return err
	}
	_, err = f.applier.Systemd.Queue(ctx, jobs)
	return err
}

// unfinished returns the delivery of the generation that is to be taken up again, if there is one.
func (f *follower) unfinished() (protocol.Delivery, bool) {
	number, err := f.applier.Unfinished()
	if err != nil || number == 0 {
		return protocol.Delivery{}, false
	}
	delivery, err := f.applier.Generations.Delivery(number)
	if err != nil {
		f.log.Warn("an unfinished generation waits for its plan to be delivered again", "generation", number, "error", err)
		return protocol.Delivery{}, false
	}
	return delivery, true
}

// apply begins to apply a delivery, after it has ended what it replaces. One that is refused or
// the same as the running one changes nothing.
func (f *follower) apply(ctx context.Context, delivery protocol.Delivery) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.begin(ctx, delivery)
}

// begin is apply for whoever holds the lock.
func (f *follower) begin(ctx context.Context, delivery protocol.Delivery) {
	if f.ended {
		return
	}
	checked, err := f.applier.Check(ctx, delivery)
	if err != nil {
		f.log.Error("a delivery is refused; what runs goes on", "error", err)
		return
	}
	if f.running != nil && f.running.digest == checked.Digest {
		return
	}
	if f.applier.Abandoned(checked) {
		f.log.Info("the plan was given up before; what runs goes on", "generation", checked.Plan.Generation)
		return
	}
	f.stop(apply.ErrReplaced)
	footprint.Work()
	actx, cancel := context.WithCancelCause(ctx)
	f.running = &application{digest: checked.Digest, cancel: cancel, done: make(chan struct{})}
	f.status.plan(checked.Plan, checked.Digest)
	go func(app *application) {
		defer close(app.done)
		err := f.applier.Apply(actx, checked, delivery)
		f.finished(checked.Plan, err)
		f.remaining(actx, checked.Digest)
	}(f.running)
}

// remaining takes up what a plan that has just failed had replaced too early: the generation that
// runs, when it is not confirmed yet.
func (f *follower) remaining(ctx context.Context, done string) {
	delivery, ok := f.unfinished()
	if !ok || ctx.Err() != nil {
		return
	}
	checked, err := f.applier.Check(ctx, delivery)
	if err != nil || checked.Digest == done {
		return
	}
	f.status.plan(checked.Plan, checked.Digest)
	f.finished(checked.Plan, f.applier.Apply(ctx, checked, delivery))
}

func (f *follower) finished(p *plan.Plan, err error) {
	switch {
	case errors.Is(err, apply.ErrRestart):
		f.log.Info("another program takes the agent's place", "generation", p.Generation)
		f.status.doing("starting again as another program")
		f.end(apply.ErrRestart)
	case err == nil:
		f.log.Info("the plan is done", "generation", p.Generation)
		f.status.doing(status.Done)
	case errors.Is(err, apply.ErrReplaced), errors.Is(err, apply.ErrByHand), errors.Is(err, context.Canceled):
		f.log.Info("the plan is left where it is", "generation", p.Generation, "cause", err)
	default:
		f.log.Error("the plan failed", "generation", p.Generation, "error", err)
		f.status.failed(err)
	}
	f.settled()
	footprint.Rest() // from here on this process mostly waits
}

// atWork tells that this program got to its work: the control plane has answered it. When the
// current generation is confirmed already, that proves the program.
func (f *follower) atWork() error {
	if f.applier.Self == nil {
		return nil
	}
	current, err := f.applier.Generations.CurrentNumber()
	if err != nil {
		return err
	}
	entries, err := f.applier.Journal.Entries()
	if err != nil {
		return err
	}
	confirmed := slices.ContainsFunc(entries, func(e journal.Entry) bool {
		return e.Generation == current && e.Step == journal.Confirmed
	})
	return f.applier.Self.Working(confirmed)
}

// stop ends the running application and waits for it.
func (f *follower) stop(cause error) {
	if f.running == nil {
		return
	}
	f.running.cancel(cause)
	<-f.running.done
	f.running = nil
}
