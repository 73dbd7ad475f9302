package pki

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"slices"
	"sync"
	"time"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
)

// PlanSigner signs plans with the control plane's ECDSA P-256 key, and knows every key that it has
// had. It is safe for concurrent use.
type PlanSigner struct {
	records Records
	sealer  Sealer
	now     func() time.Time

	mu         sync.RWMutex
	keys       []planKey           // that can sign, the newest last
	set        protocol.PlanKeySet // what nodes believe
	every      []protocol.PlanKey  // there has ever been
	statements [][]byte            // in their order
}

// planKey is one version of the signing key.
type planKey struct {
	version int
	made    time.Time
	private *ecdsa.PrivateKey
	public  protocol.PlanKey
}

func newPlanKey() (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make plan signing key: %w", err)
	}
	return key, nil
}

// Keys returns the keys that nodes believe plans from, as they get them when they join.
func (s *PlanSigner) Keys() protocol.PlanKeySet {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.set
}

// Statements returns all statements of plan keys there have been, the oldest first: a node that
// was away for several of them follows one after the other.
func (s *PlanSigner) Statements() [][]byte {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.statements
}

// PlanKey returns the public half of the key that signs now.
func (s *PlanSigner) PlanKey() protocol.PlanKey {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.signing().public
}

// signing is the key that signs now: the newest that was announced Overlap ago. The caller holds
// the lock.
func (s *PlanSigner) signing() planKey {
	for _, key := range slices.Backward(s.keys[1:]) {
		if !s.now().Before(key.made.Add(Overlap)) {
			return key
		}
	}
	return s.keys[0]
}

// signer returns the private key that signs now.
func (s *PlanSigner) signer() *ecdsa.PrivateKey {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.signing().private
}

// Sign validates a plan's canonical bytes and returns its signed envelope, as JSON.
func (s *PlanSigner) Sign(ctx context.Context, canonical []byte) ([]byte, error) {
	p, err := plan.Parse(canonical)
	if err != nil {
		return nil, err
	}
	return plan.Seal(ctx, p, s.signer())
}

// Open returns the plan in an envelope that this control plane signed, with whichever key it had.
func (s *PlanSigner) Open(ctx context.Context, envelope []byte) (*plan.Plan, error) {
	s.mu.RLock()
	every := s.every
	s.mu.RUnlock()
	p, _, err := plan.Open(ctx, envelope, every)
	return p, err
}

// Refresh returns the envelope as a node of today believes it: signed anew when the key that had
// signed it was dropped since. The plan, and so its digest, stays the same.
func (s *PlanSigner) Refresh(ctx context.Context, envelope []byte) ([]byte, error) {
	if _, _, err := plan.Open(ctx, envelope, s.Keys().Keys); err == nil {
		return envelope, nil
	}
	p, err := s.Open(ctx, envelope)
	if err != nil {
		return nil, err
	}
	return plan.Seal(ctx, p, s.signer())
}
