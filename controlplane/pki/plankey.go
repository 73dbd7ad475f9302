package pki

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"slipway.build/slipway/agent/protocol"
)

// PlanSigner signs plans with the control plane's ECDSA P-256 key. It is safe for concurrent use.
type PlanSigner struct {
	key      *ecdsa.PrivateKey
	public   protocol.PlanKey
	envelope *dsse.EnvelopeSigner
}

func newPlanKey() (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make plan signing key: %w", err)
	}
	return key, nil
}

func newPlanSigner(key *ecdsa.PrivateKey) (*PlanSigner, error) {
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, fmt.Errorf("plan signing key: %w", err)
	}
	id := sha256.Sum256(der)
	s := &PlanSigner{key: key, public: protocol.PlanKey{
		ID:     hex.EncodeToString(id[:]),
		Public: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
	}}
	if s.envelope, err = dsse.NewEnvelopeSigner(dsseSigner{s}); err != nil {
		return nil, fmt.Errorf("plan signing key: %w", err)
	}
	return s, nil
}

// PlanKey returns the public key as nodes get it when they join.
func (s *PlanSigner) PlanKey() protocol.PlanKey { return s.public }

// Sign returns a DSSE envelope, as JSON, around a plan's canonical bytes.
func (s *PlanSigner) Sign(ctx context.Context, canonical []byte) ([]byte, error) {
	envelope, err := s.envelope.SignPayload(ctx, protocol.PayloadType, canonical)
	if err != nil {
		return nil, fmt.Errorf("sign plan: %w", err)
	}
	text, err := json.Marshal(envelope)
	if err != nil {
		return nil, fmt.Errorf("sign plan: %w", err)
	}
	return text, nil
}

// dsseSigner is what the envelope library signs with: ASN.1 ECDSA over SHA-256.
type dsseSigner struct{ s *PlanSigner }

func (d dsseSigner) Sign(_ context.Context, data []byte) ([]byte, error) {
	sum := sha256.Sum256(data)
	return d.s.key.Sign(rand.Reader, sum[:], crypto.SHA256)
}

func (d dsseSigner) KeyID() (string, error) { return d.s.public.ID, nil }
