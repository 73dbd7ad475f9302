package pki

import (
	"context"

	"slipway.build/slipway/agent/action"
)

// SignAction validates a request for a remote action and returns its signed envelope, as JSON.
func (s *PlanSigner) SignAction(ctx context.Context, request *action.Request) ([]byte, error) {
	return action.Seal(ctx, request, s.signer())
}
