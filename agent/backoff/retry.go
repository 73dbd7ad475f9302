package backoff

import (
	"context"

	"slipway.build/slipway/agent/fault"
)

// Retry calls do until it succeeds, fails with a terminal fault, or ctx ends. The error of the
// last case is retriable and has both: why it ended, and what failed last.
func (b *Backoff) Retry(ctx context.Context, do func(context.Context) error) error {
	for {
		err := do(ctx)
		if err == nil || fault.IsTerminal(err) {
			return err
		}
		if wait := b.Wait(ctx); wait != nil {
			return fault.Retriablef("%w (last: %w)", wait, err)
		}
	}
}
