package apply

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"slipway.build/slipway/agent/certificates"
	"slipway.build/slipway/agent/cluster"
	"slipway.build/slipway/agent/cluster/etcd"
	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/generation"
	"slipway.build/slipway/agent/importer"
	"slipway.build/slipway/agent/journal"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/agent/pull"
	"slipway.build/slipway/agent/secrets"
	"slipway.build/slipway/agent/trust"
	"slipway.build/slipway/agent/turn"
	"slipway.build/slipway/units/drive"
)

// ErrReplaced is the cause with which the context of an application is cancelled when a newer
// plan has arrived; the application then ends without a verdict.
var ErrReplaced = errors.New("a newer plan has arrived")

// Reporter takes signals. Prepare completes one that goes into the journal together with the
// step that it is about, Queued says that it is there; Progress may be coalesced.
type Reporter interface {
	Prepare(protocol.Signal) protocol.Signal
	Queued()
	Progress(protocol.Signal)
}

// ErrRestart ends an application whose rest another program has to do in the agent's place.
var ErrRestart = errors.New("the agent starts again as the program that the current generation names")

// Self is the program that runs as the agent.
type Self interface {
	// Differs reports whether the generation in a directory names another program. A terminal
	// error says that its program was tried and is no good.
	Differs(dir string) (bool, error)
	// Working notes that this program does its work; proven ends its trial.
	Working(proven bool) error
}

// Applier holds what an application works with.
type Applier struct {
	Trust        *trust.Verifier
	Learner      trust.Learner
	Journal      *journal.Journal
	Generations  *generation.Store
	Puller       *pull.Puller
	Certificates *certificates.Maker
	Secrets      *secrets.Keeper
	Systemd      drive.Driver
	Importer     importer.Tool
	Reporter     Reporter
	// Logs returns the last lines of a unit's log.
	Logs func(ctx context.Context, unit string, lines int) string
	// LastWords returns what the unit's processes said last about their end; "" for nothing.
	LastWords func(ctx context.Context, unit string) string
	// Cluster returns a client of the cluster's API.
	Cluster func(plan.API) *cluster.Client
	// Etcd returns a client of the etcd member of this node.
	Etcd func(plan.API) *etcd.Client
	// Turn is had from the first step of a plan until it is confirmed or undone.
	Turn *turn.Turn
	// Self is nil where the agent is not its own subject.
	Self Self
	// Contact is closed once the control plane has answered this process.
	Contact <-chan struct{}
	Now     func() time.Time
	// Uptime returns the name of the running boot and the time since it began.
	Uptime func() (boot string, since time.Duration)
	Log    *slog.Logger
}

// Check verifies a delivery. A refusal is reported to the control plane, once for each plan.
func (a *Applier) Check(ctx context.Context, delivery protocol.Delivery) (*trust.Checked, error) {
	checked, err := a.check(ctx, delivery)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the plan is refused: %w", err), a.refuse(delivery, err))
	}
	return checked, nil
}

// Learn takes the statements of keys of a delivery that brings no plan. A refusal is reported to the
// control plane.
func (a *Applier) Learn(ctx context.Context, delivery protocol.Delivery) error {
	err := a.Trust.Learn(ctx, a.Learner, delivery)
	if err == nil {
		return nil
	}
	return errors.Join(err, a.refuse(delivery, err))
}

// check tells a plan that was accepted before, which only has to be brought to its end, from a new
// one, which has to be fresh as well.
func (a *Applier) check(ctx context.Context, delivery protocol.Delivery) (*trust.Checked, error) {
	if err := a.Trust.Learn(ctx, a.Learner, delivery); err != nil {
		return nil, err
	}
	known, err := a.Journal.Entries()
	if err != nil {
		return nil, err
	}
	claim := plan.ClaimOf(delivery.Envelope)
	begun, err := a.begun(known, claim.Digest)
	if err != nil {
		return nil, err
	}
	if begun {
		return a.Trust.Recheck(delivery, claim.Digest)
	}
	checked, err := a.Trust.Check(ctx, delivery)
	if err != nil {
		return nil, err
	}
	accepted, err := a.accepted()
	if err != nil {
		return nil, err
	}
	return checked, a.Trust.Fresh(checked, accepted)
}

// accepted returns the highest numbers of the journal, and of what runs should that be lost.
func (a *Applier) accepted() (trust.Accepted, error) {
	numbers, err := a.Journal.Numbers()
	if err != nil {
		return trust.Accepted{}, err
	}
	current, err := a.Generations.CurrentNumber()
	return trust.Accepted{Plan: max(numbers.Plan, current), Lock: numbers.Lock}, err
}

// refuse reports a plan that may not be applied. What the envelope claims to be says which
// deployment waits for the answer, even when its signature is worth nothing.
func (a *Applier) refuse(delivery protocol.Delivery, cause error) error {
	claim := plan.ClaimOf(delivery.Envelope)
	signal := protocol.Signal{Deployment: claim.Deployment, PlanDigest: claim.Digest, Phase: protocol.Failed, Reason: cause.Error()}
	if claim.Node != a.Trust.Node || claim.Deployment == "" {
		// It is none of ours, so no deployment of ours has failed; that it came is an event all the same.
		signal.Deployment, signal.Phase = "", protocol.Refused
	}
	signal = a.Reporter.Prepare(identified(signal))
	a.Log.Error("a plan is refused", "deployment", claim.Deployment, "error", cause)
	defer a.Reporter.Queued()
	return a.Journal.Enqueue(signal)
}

// Apply brings the node to a checked plan and returns once everything of it is done, reported as
// healthy or failed, or ctx is cancelled. A plan that is done already, or that has failed before,
// causes nothing at all. The error is for the log: whoever waits has the signal.
func (a *Applier) Apply(ctx context.Context, checked *trust.Checked, delivery protocol.Delivery) error {
	return a.insist(ctx, fmt.Sprintf("the plan of generation %d", checked.Plan.Generation), func() error {
		return a.once(ctx, checked, delivery)
	})
}

// once begins or goes on where the journal says.
func (a *Applier) once(ctx context.Context, checked *trust.Checked, delivery protocol.Delivery) error {
	known, err := a.Journal.Entries()
	if err != nil {
		return err
	}
	entry, err := a.begin(checked, known)
	if fault.IsTerminal(err) {
		return errors.Join(err, a.refuse(delivery, err))
	}
	if err != nil || entry == nil {
		return err
	}
	if entry.Boot == "" { // an agent wrote it that kept less; the one before was its way back
		if before, ok := find(known, entry.Previous); ok && before.Step == journal.Confirmed {
			entry.Fallback, entry.Target, entry.Undo = entry.Previous, entry.Previous, entry.Step == journal.Returning
		}
	}
	returning := entry.Step == journal.Returning
	err = newTransition(a, checked, delivery, *entry).run(ctx)
	if err == nil && returning {
		return verdict{fmt.Errorf("generation %d is left: %s", entry.Generation, entry.Reason)}
	}
	return err
}

// begin decides what is to be done about a checked plan. A nil entry means nothing.
func (a *Applier) begin(checked *trust.Checked, known []journal.Entry) (*journal.Entry, error) {
	number := checked.Plan.Generation
	current, err := a.Generations.CurrentNumber()
	if err != nil {
		return nil, err
	}
	if last, ok := find(known, number); ok && last.PlanDigest == checked.Digest {
		if last.Step == journal.Abandoned {
			return nil, nil
		}
		if last.Step == journal.Confirmed && (len(last.Reported) == len(deployments(checked.Plan)) || current != number) {
			return nil, nil
		}
		last.Further = deployments(checked.Plan) // the agent that wrote it may have kept less
		return &last, nil
	}
	// Between the check and here another plan may have been accepted.
	accepted, err := a.accepted()
	if err == nil {
		err = a.Trust.Fresh(checked, accepted)
	}
	if err != nil {
		return nil, err
	}
	entry := journal.Entry{
		Generation: number, PlanDigest: checked.Digest, Deployment: checked.Plan.Deployment,
		Step: journal.Accepted, Began: a.Now(), Previous: current, Further: deployments(checked.Plan),
	}
	entry.Fallback, entry.Jobs = inherited(known, current)
	a.stamp(&entry)
	joined := a.Reporter.Prepare(identified(protocol.Signal{Deployment: entry.Deployment, PlanDigest: entry.PlanDigest, Phase: protocol.Joined}))
	if err := a.Journal.Accept(entry, uint64(checked.Lock.Number), joined); err != nil {
		return nil, err
	}
	a.Reporter.Queued()
	return &entry, nil
}

// inherited returns what a new generation takes over from those before: where a failure goes back
// to, and what interrupted switches, forth or back, still owe to units.
func inherited(known []journal.Entry, current uint64) (fallback uint64, owed []journal.Job) {
	if last, ok := find(known, current); ok {
		fallback = last.Fallback
		if last.Step == journal.Confirmed {
			fallback = current
		}
		owed = append(owed, last.Jobs...)
	}
	for _, entry := range known {
		if entry.Step == journal.Returning && entry.Generation != current {
			owed = append(owed, entry.Jobs...)
		}
	}
	return fallback, owed
}

func find(entries []journal.Entry, number uint64) (journal.Entry, bool) {
	for _, entry := range entries {
		if entry.Generation == number {
			return entry, true
		}
	}
	return journal.Entry{}, false
}
