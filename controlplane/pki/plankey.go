package pki

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
)

// PlanSigner signs plans with the control plane's ECDSA P-256 key. It is safe for concurrent use.
type PlanSigner struct {
	key    *ecdsa.PrivateKey
	public protocol.PlanKey
}

func newPlanKey() (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make plan signing key: %w", err)
	}
	return key, nil
}

func newPlanSigner(key *ecdsa.PrivateKey) (*PlanSigner, error) {
	public, err := plan.PublicKey(&key.PublicKey)
	if err != nil {
		return nil, err
	}
	return &PlanSigner{key: key, public: public}, nil
}

// PlanKey returns the public key as nodes get it when they join.
func (s *PlanSigner) PlanKey() protocol.PlanKey { return s.public }

// Sign validates a plan's canonical bytes and returns its signed envelope, as JSON.
func (s *PlanSigner) Sign(ctx context.Context, canonical []byte) ([]byte, error) {
	p, err := plan.Parse(canonical)
	if err != nil {
		return nil, err
	}
	return plan.Seal(ctx, p, s.key)
}

// Open returns the plan in an envelope that this control plane signed.
func (s *PlanSigner) Open(ctx context.Context, envelope []byte) (*plan.Plan, error) {
	p, _, err := plan.Open(ctx, envelope, []protocol.PlanKey{s.public})
	return p, err
}
