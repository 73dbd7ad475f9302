package action

import (
	"context"
	"crypto/ecdsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
)

// PayloadType of the DSSE envelope around a request.
const PayloadType = "application/vnd.slipway.action.v1+json"

// MaxSize bounds an envelope in bytes: the largest request names 64 images.
const MaxSize = 64 << 10

// Seal validates r and returns its DSSE envelope, as JSON, signed by a plan key.
func Seal(ctx context.Context, r *Request, key *ecdsa.PrivateKey) ([]byte, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	payload, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("sign action %s: %w", r.ID, err)
	}
	envelope, err := plan.SealPayload(ctx, PayloadType, payload, key)
	if err != nil {
		return nil, fmt.Errorf("action %s: %w", r.ID, err)
	}
	if len(envelope) > MaxSize {
		return nil, fault.Terminalf("action %s: %d bytes when signed, more than the limit of %d", r.ID, len(envelope), MaxSize)
	}
	return envelope, nil
}

// Open verifies an envelope against the plan keys that the node believes and returns the valid
// request in it. All errors are terminal.
func Open(ctx context.Context, envelope []byte, keys []protocol.PlanKey) (*Request, error) {
	payload, err := plan.OpenPayload(ctx, PayloadType, envelope, MaxSize, keys)
	if err != nil {
		return nil, fmt.Errorf("action: %w", err)
	}
	return Parse(payload)
}

// Parse reads a request from JSON and validates it. Errors are terminal and name the field.
func Parse(payload []byte) (*Request, error) {
	r := new(Request)
	if err := plan.Decode(payload, r); err != nil {
		return nil, fault.Terminalf("action: %w", err)
	}
	if err := r.Validate(); err != nil {
		return nil, err
	}
	return r, nil
}

// ClaimOf reads the id that an envelope says it has, "" when it has none of the right form. It is
// not verified: good for telling which request is refused, and for nothing else.
func ClaimOf(envelope []byte) string {
	var env struct {
		Payload string `json:"payload"`
	}
	if len(envelope) > MaxSize || json.Unmarshal(envelope, &env) != nil {
		return ""
	}
	payload, err := base64.StdEncoding.DecodeString(env.Payload)
	if err != nil {
		return ""
	}
	var head struct {
		ID string `json:"id"`
	}
	if json.Unmarshal(payload, &head) != nil || !regexp.MustCompile(uuidPattern).MatchString(head.ID) {
		return ""
	}
	return head.ID
}
