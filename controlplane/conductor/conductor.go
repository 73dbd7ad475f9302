package conductor

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"slipway.build/slipway/controlplane/fault"
	"slipway.build/slipway/controlplane/store"
)

// The kinds of operations.
const (
	OperationCreate = "create"
	OperationDelete = "delete"
)

// leaseLife is how long an operation stays a conductor's without news from it. A restarted
// conductor of the same name takes its own back at once.
const leaseLife = 30 * time.Second

// idle bounds a sleep when the store names no earlier time.
const idle = time.Minute

// Conductor takes operations from the queue and carries them out.
type Conductor struct {
	Store  *store.Store
	Engine Engine
	Sealer *store.Sealer
	// Name is the owner of leases: unique among conductors on the same store.
	Name string
	Log  *slog.Logger
}

// Run works until ctx ends and every operation that it had begun has stopped. What was begun
// and not finished is taken up by the next Run.
func (c *Conductor) Run(ctx context.Context) error {
	var working sync.WaitGroup
	defer working.Wait()
	if err := c.Store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		n, err := tx.ReleaseLeases(ctx, c.Name)
		if n > 0 {
			c.Log.Info("resuming operations that an earlier run left", "count", n)
		}
		return err
	}); err != nil {
		return err
	}
	sub := c.Store.Subscribe(store.TopicOperations)
	defer sub.Close()
	for ctx.Err() == nil {
		var operation *store.Operation
		err := c.Store.Tx(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
			operation, err = tx.ClaimOperation(ctx, c.Name, leaseLife)
			if operation != nil && operation.Preempts {
				tx.Notify(store.TopicOperations) // whoever it takes the place of stops at once
			}
			return err
		})
		switch {
		case errors.Is(err, store.ErrClosed):
			return err
		case err != nil:
			c.Log.Error("claim an operation", "error", err)
		case operation != nil:
			working.Go(func() { c.work(ctx, operation) })
			continue
		}
		c.sleep(ctx, sub)
	}
	return nil
}

// sleep returns when an operation may have become claimable.
func (c *Conductor) sleep(ctx context.Context, sub *store.Subscription) {
	wait := idle
	if next, ok, err := c.Store.NextDue(ctx); err == nil && ok {
		wait = min(wait, max(time.Until(next), 100*time.Millisecond))
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-sub.C:
	case <-timer.C:
	}
}

// work carries out one operation and ends it: done, failed, or back in the queue.
func (c *Conductor) work(ctx context.Context, o *store.Operation) {
	log := c.Log.With("operation", o.ID, "kind", o.Kind, "cluster", o.ClusterID)
	leased, stop := c.hold(ctx, o)
	defer stop()
	err := c.perform(leased, o)
	if fault.KindOf(err) == fault.Conflict || leased.Err() != nil {
		log.Info("operation was taken from us or interrupted", "error", err)
		return
	}
	if err := c.Store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err != nil && !fault.IsTerminal(err) {
			log.Warn("operation will be tried again", "error", err)
			return tx.ReleaseOperation(ctx, o.Fence(), backoff(o.Attempts))
		}
		problem := ""
		if err != nil {
			problem = err.Error()
		}
		return tx.FinishOperation(ctx, o.Fence(), problem)
	}); err != nil {
		log.Error("end operation", "error", err)
	}
}

func (c *Conductor) perform(ctx context.Context, o *store.Operation) error {
	switch o.Kind {
	case OperationCreate:
		return c.create(ctx, o)
	case OperationDelete:
		return c.delete(ctx, o)
	}
	return fault.Terminalf("operation kind %q is unknown to this version", o.Kind)
}

// hold renews the operation's lease until stop is called. The context it returns ends when the
// lease is lost: a delete has taken the operation's place, or another conductor has it.
func (c *Conductor) hold(ctx context.Context, o *store.Operation) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	sub := c.Store.Subscribe(store.TopicOperations)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer sub.Close()
		tick := time.NewTicker(leaseLife / 3)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			case <-sub.C:
			}
			err := c.Store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
				return tx.RenewOperation(ctx, o.Fence(), leaseLife)
			})
			if fault.KindOf(err) == fault.Conflict {
				cancel(err)
				return
			}
		}
	}()
	return ctx, func() { cancel(nil); <-done }
}

// backoff is the wait before an operation's next attempt.
func backoff(attempts int) time.Duration {
	return min(time.Minute, time.Second<<min(attempts, 6))
}
