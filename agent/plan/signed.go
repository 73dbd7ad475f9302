package plan

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/protocol"
)

// SealPayload returns the DSSE envelope, as JSON, around bytes of another type than a plan's,
// signed with ECDSA P-256 by a plan key.
func SealPayload(ctx context.Context, payloadType string, payload []byte, key *ecdsa.PrivateKey) ([]byte, error) {
	signer, err := newSignVerifier(&key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	envelopeSigner, err := dsse.NewEnvelopeSigner(signer)
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", payloadType, err)
	}
	envelope, err := envelopeSigner.SignPayload(ctx, payloadType, payload)
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", payloadType, err)
	}
	return json.Marshal(envelope)
}

// OpenPayload verifies a DSSE envelope of at most limit bytes against the plan keys and returns
// the bytes in it, which must be of the type. All errors are terminal.
func OpenPayload(ctx context.Context, payloadType string, envelope []byte, limit int, keys []protocol.PlanKey) ([]byte, error) {
	if len(envelope) > limit {
		return nil, fault.Terminalf("envelope: %d bytes, more than the limit of %d", len(envelope), limit)
	}
	verifiers, err := verifiersOf(keys)
	if err != nil {
		return nil, err
	}
	var env dsse.Envelope
	if err := json.Unmarshal(envelope, &env); err != nil {
		return nil, fault.Terminalf("envelope: not a DSSE envelope: %w", err)
	}
	if env.PayloadType != payloadType {
		return nil, fault.Terminalf("envelope: payload type %q, want %q", env.PayloadType, payloadType)
	}
	verifier, err := dsse.NewEnvelopeVerifier(verifiers...)
	if err != nil {
		return nil, fault.Terminalf("envelope: no trusted plan key: %w", err)
	}
	_, payload, err := verifier.VerifyAndDecode(ctx, &env)
	if err != nil {
		return nil, fault.Terminalf("signature: signed by %s, trusted keys %s: %w", signersOf(env), trusted(keys), err)
	}
	return payload, nil
}

// Decode reads JSON into out as strictly as Parse reads a plan: an unknown, misspelt or doubled
// field is a FieldError with its path, and nothing may follow the document.
func Decode[T any](data []byte, out *T) error {
	if err := checkShape(data, reflect.TypeFor[T]()); err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(out); err != nil {
		var typeErr *json.UnmarshalTypeError
		if errors.As(err, &typeErr) {
			err = &FieldError{Path: typeErr.Field, Value: typeErr.Value, Detail: "must be of type " + typeErr.Type.String()}
		}
		return err
	}
	return nil
}
