package actions

import (
	"context"
	"time"

	"slipway.build/slipway/controlplane/store"
)

// sweepInterval is how often archives are looked through.
const sweepInterval = time.Hour

// retryInterval is the wait after a fault of the store.
const retryInterval = 5 * time.Second

// Run ends actions at the moment when they expire, and sweeps the archives, until ctx ends.
func (d *Desk) Run(ctx context.Context) error {
	news := d.Store.Subscribe(store.TopicActions)
	defer news.Close()
	swept := time.Time{}
	for {
		if now := d.Now(); now.Sub(swept) >= sweepInterval || now.Before(swept) {
			swept = now
			if err := d.Archives.Sweep(ctx, now, d.hasNode); err != nil {
				d.Log.ErrorContext(ctx, "support archives are not swept", "error", err)
			}
		}
		wait, err := d.expireOverdue(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			d.Log.ErrorContext(ctx, "actions do not expire, trying again", "error", err)
			wait = retryInterval
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-news.C:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// expireOverdue ends what is overdue and returns how long nothing else can be.
func (d *Desk) expireOverdue(ctx context.Context) (time.Duration, error) {
	overdue, err := d.Store.OverdueActions(ctx, d.Now())
	if err != nil {
		return 0, err
	}
	for i := range overdue {
		if err := d.Store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error { return expire(ctx, tx, overdue[i].ID) }); err != nil && !store.IsNotFound(err) {
			return 0, err
		}
	}
	next, found, err := d.Store.NextExpiry(ctx)
	if err != nil {
		return 0, err
	}
	wait := sweepInterval
	if found {
		wait = min(wait, max(next.Sub(d.Now()), time.Millisecond))
	}
	return wait, nil
}

func (d *Desk) hasNode(ctx context.Context, id string) (bool, error) {
	_, err := d.Store.Node(ctx, id)
	if store.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}
