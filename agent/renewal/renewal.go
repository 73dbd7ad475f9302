package renewal

import (
	"context"
	"crypto/x509"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"slipway.build/slipway/agent/backoff"
	"slipway.build/slipway/agent/certificates"
	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/join"
	"slipway.build/slipway/agent/plan"
)

// Identity is the node's own certificate; join.Identity is one.
type Identity interface {
	Leaf() *x509.Certificate
	Renew(context.Context, join.RenewAPI) error
}

// Pairs are the key pairs of plans; certificates.Maker keeps them.
type Pairs interface {
	NextRenewal([]plan.Certificate) time.Time
	Ensure(context.Context, []plan.Certificate) error
}

// Config is what renewing works with. All of it must be set.
type Config struct {
	Identity Identity
	// API is called without the node's certificate, which may have expired.
	API join.RenewAPI
	// Renewed is told that the identity has a new certificate, so that it is used.
	Renewed func()
	Pairs   Pairs
	// Plan returns the plan that runs, nil when there is none.
	Plan     func() (*plan.Plan, error)
	Restarts *Restarter
	Now      func() time.Time
	Log      *slog.Logger
}

// Renewer renews what is due.
type Renewer struct {
	Config
	jobs    []*job
	refused atomic.Bool
}

// New returns a Renewer; it does nothing before Run.
func New(c Config) *Renewer {
	r := &Renewer{Config: c}
	slow := backoff.Backoff{First: time.Second, Max: 5 * time.Minute}
	r.jobs = []*job{
		{name: "the node's certificate", limit: patience, due: r.identityDue, do: r.renewIdentity, waits: slow},
		{name: "certificates of the plan", limit: patience, due: r.pairsDue, do: r.renewPairs, waits: slow},
		{name: "restarts after renewals", limit: restartLimit, due: r.Restarts.due, do: r.Restarts.do, waits: slow},
	}
	for _, j := range r.jobs {
		j.wake = make(chan struct{}, 1)
	}
	return r
}

// Bounds of the waits of Run.
const (
	// glance is how long the files are believed without another look: clocks are set, and machines
	// are suspended, without a timer's knowledge.
	glance = 10 * time.Minute
	// least keeps a certificate of a very short life from a busy loop.
	least = 200 * time.Millisecond
	// patience bounds one try.
	patience = 30 * time.Second
	// hopeless is the wait after a refusal for good: the node was deleted. What runs goes on; should
	// the control plane's mind change, such as after a restore, this node is back within the hour.
	hopeless = time.Hour
)

// Wake has Run look again, such as after a new plan.
func (r *Renewer) Wake() {
	for _, j := range r.jobs {
		select {
		case j.wake <- struct{}{}:
		default:
		}
	}
}

// Refused has the identity renewed now: the control plane does not take its certificate, whatever
// this node's clock says about it.
func (r *Renewer) Refused() {
	if r.refused.CompareAndSwap(false, true) {
		r.Wake()
	}
}

// job is one kind of thing to be done again and again, apart from the others: none of them is late
// because another one hangs.
type job struct {
	name  string
	limit time.Duration // of one try
	due   func() (time.Time, error)
	do    func(context.Context) error

	wake  chan struct{}
	waits backoff.Backoff
	rest  time.Time // no try before it
}

// Run renews what is due until ctx ends.
func (r *Renewer) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, j := range r.jobs {
		group.Go(func() error { return r.repeat(ctx, j) })
	}
	return group.Wait()
}

func (r *Renewer) repeat(ctx context.Context, j *job) error {
	for {
		timer := time.NewTimer(min(glance, max(least, r.step(ctx, j))))
		select {
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		case <-timer.C:
		case <-j.wake:
			timer.Stop()
		}
	}
}

// step does a job if it is due and returns after how long to look at it again.
func (r *Renewer) step(ctx context.Context, j *job) time.Duration {
	if rest := time.Until(j.rest); rest > 0 {
		return rest
	}
	due, err := j.due()
	if err == nil && due.IsZero() {
		return glance
	}
	if wait := due.Sub(r.Now()); err == nil && wait > 0 {
		return wait
	}
	if err == nil {
		limited, cancel := context.WithTimeout(ctx, j.limit)
		err = j.do(limited)
		cancel()
	}
	switch {
	case err == nil:
		j.waits.Reset()
		return 0
	case ctx.Err() != nil:
		return 0
	}
	wait := j.waits.Next()
	if fault.IsTerminal(err) {
		wait = hopeless
	}
	j.rest = time.Now().Add(wait)
	r.Log.Warn("not renewed, trying again", "what", j.name, "in", wait.Round(time.Second), "error", err)
	return wait
}

func (r *Renewer) identityDue() (time.Time, error) {
	if r.refused.Load() {
		return r.Now(), nil
	}
	return certificates.RenewAt(r.Identity.Leaf()), nil
}

func (r *Renewer) renewIdentity(ctx context.Context) error {
	before := r.Identity.Leaf()
	if err := r.Identity.Renew(ctx, r.API); err != nil {
		return err
	}
	after := r.Identity.Leaf()
	r.refused.Store(false)
	r.Renewed()
	r.Log.Info("the node's certificate is renewed", "until", after.NotAfter, "expired", !r.Now().Before(before.NotAfter))
	return nil
}

func (r *Renewer) pairsDue() (time.Time, error) {
	p, err := r.Plan()
	if err != nil || p == nil {
		return time.Time{}, err
	}
	return r.Pairs.NextRenewal(p.Certificates), nil
}

func (r *Renewer) renewPairs(ctx context.Context) error {
	p, err := r.Plan()
	if err != nil || p == nil {
		return err
	}
	if err := r.Pairs.Ensure(ctx, p.Certificates); err != nil {
		return err
	}
	r.Wake()
	r.Log.Info("certificates of the plan are renewed", "next", r.Pairs.NextRenewal(p.Certificates))
	return nil
}
