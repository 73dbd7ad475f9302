// Package backoff spaces repeated tries: waits double up to a limit, and each is drawn at random
// from its upper half, so that many nodes that failed together do not come back together.
package backoff

import (
	"context"
	"math/rand/v2"
	"time"
)

// Backoff is one row of tries. Its zero value waits 100 ms first and 10 s at most.
type Backoff struct {
	First time.Duration // 100 ms when zero
	Max   time.Duration // 10 s when zero

	tries int
}

// Reset begins a new row, after a success.
func (b *Backoff) Reset() { b.tries = 0 }

// Next returns the next wait.
func (b *Backoff) Next() time.Duration {
	first, limit := b.First, b.Max
	if first == 0 {
		first = 100 * time.Millisecond
	}
	if limit == 0 {
		limit = 10 * time.Second
	}
	wait := limit
	if b.tries < 30 && first<<b.tries < limit {
		wait = first << b.tries
	}
	b.tries++
	return wait/2 + rand.N(wait/2+1)
}

// Wait waits for Next, or until ctx ends and returns its cause.
func (b *Backoff) Wait(ctx context.Context) error {
	timer := time.NewTimer(b.Next())
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
