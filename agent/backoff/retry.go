package backoff

import (
	"context"

	"slipway.build/slipway/agent/fault"
)

// Retry calls do until it succeeds, fails with a terminal fault, or ctx ends. The error of the
// last case is retriable and has both: why it ended, and what failed last before it did.
func (b *Backoff) Retry(ctx context.Context, do func(context.Context) error) error {
	var last error
	for {
		err := do(ctx)
		if err == nil || fault.IsTerminal(err) {
			return err
		}
		if last == nil || ctx.Err() == nil {
			last = err // otherwise it failed only because ctx ended
		}
		if wait := b.Wait(ctx); wait != nil {
			return fault.Retriablef("%w (last: %w)", wait, last)
		}
	}
}
