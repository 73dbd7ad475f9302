package serve

import (
	"context"
	"log/slog"
	"time"

	"slipway.build/slipway/controlplane/pki"
)

// keyInterval is how often the plan key's age is looked at.
const keyInterval = time.Hour

// tendPlanKeys rotates the key that signs plans when its time has come, until ctx ends.
func tendPlanKeys(ctx context.Context, signer *pki.PlanSigner, life time.Duration, log *slog.Logger) {
	tick := time.NewTicker(keyInterval)
	defer tick.Stop()
	for {
		switch done, err := signer.Tend(ctx, life); {
		case err != nil && ctx.Err() == nil:
			log.ErrorContext(ctx, "the plan signing key was not tended", "error", err)
		case done != "":
			log.InfoContext(ctx, "plan signing keys", "done", done)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
