package plan

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"fmt"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/protocol"
)

// Limits of a statement of plan keys.
const (
	maxPlanKeys = 8
	maxKeysSize = 64 << 10
)

// SealKeys returns the DSSE envelope, as JSON, of a statement that says which keys plans may be
// signed with from now on, signed by one that was good before it.
func SealKeys(ctx context.Context, keys protocol.PlanKeySet, signer *ecdsa.PrivateKey) ([]byte, error) {
	if err := validateKeys(keys); err != nil {
		return nil, err
	}
	payload, err := json.Marshal(keys)
	if err != nil {
		return nil, fmt.Errorf("plan keys %d: %w", keys.Number, err)
	}
	return seal(ctx, protocol.KeysPayloadType, payload, signer, fmt.Sprintf("plan keys %d", keys.Number))
}

// KeysNumber returns the number that an envelope of plan keys claims. It is not verified: good for
// leaving out statements that are known, and for nothing else.
func KeysNumber(envelope []byte) uint64 {
	var head struct {
		Number uint64 `json:"number"`
	}
	var env dsse.Envelope
	if len(envelope) > maxKeysSize || json.Unmarshal(envelope, &env) != nil {
		return 0
	}
	payload, err := env.DecodeB64Payload()
	if err != nil || json.Unmarshal(payload, &head) != nil {
		return 0
	}
	return head.Number
}

// OpenKeys verifies a statement of plan keys against the keys that are trusted before it. All
// errors are terminal.
func OpenKeys(ctx context.Context, envelope []byte, trustedKeys []protocol.PlanKey) (protocol.PlanKeySet, error) {
	var keys protocol.PlanKeySet
	if len(envelope) > maxKeysSize {
		return keys, fault.Terminalf("plan keys: %d bytes, more than the limit of %d", len(envelope), maxKeysSize)
	}
	payload, err := open(ctx, envelope, protocol.KeysPayloadType, trustedKeys, "plan keys")
	if err != nil {
		return keys, err
	}
	return decodeKeys(payload)
}

// ReadKeys returns the statement in an envelope without a look at its signature, for whoever has
// signed it.
func ReadKeys(envelope []byte) (protocol.PlanKeySet, error) {
	var env dsse.Envelope
	if err := json.Unmarshal(envelope, &env); err != nil {
		return protocol.PlanKeySet{}, fault.Terminalf("plan keys envelope: %w", err)
	}
	payload, err := env.DecodeB64Payload()
	if err != nil {
		return protocol.PlanKeySet{}, fault.Terminalf("plan keys envelope: %w", err)
	}
	return decodeKeys(payload)
}

func decodeKeys(payload []byte) (protocol.PlanKeySet, error) {
	var keys protocol.PlanKeySet
	dec := json.NewDecoder(bytes.NewReader(payload))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&keys); err != nil {
		return keys, fault.Terminalf("plan keys: %w", err)
	}
	if canonical, err := json.Marshal(keys); err != nil || !bytes.Equal(canonical, payload) {
		return keys, fault.Terminalf("plan keys: payload is not in canonical form")
	}
	return keys, validateKeys(keys)
}

func validateKeys(keys protocol.PlanKeySet) error {
	switch {
	case keys.Number == 0:
		return fault.Terminalf("plan keys: number starts at 1")
	case keys.Issued.IsZero():
		return fault.Terminalf("plan keys %d: issued is missing", keys.Number)
	case len(keys.Keys) == 0 || len(keys.Keys) > maxPlanKeys:
		return fault.Terminalf("plan keys %d: %d keys, expected 1 to %d", keys.Number, len(keys.Keys), maxPlanKeys)
	}
	seen := map[string]bool{}
	for _, key := range keys.Keys {
		if seen[key.ID] {
			return fault.Terminalf("plan keys %d: key %s is there twice", keys.Number, key.ID)
		}
		seen[key.ID] = true
	}
	_, err := verifiersOf(keys.Keys)
	return err
}
