package plan

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
)

// Peek reads the plan in an envelope without verifying its signature: good for showing what a
// control plane has published itself, and for nothing else.
func Peek(envelope []byte) (*Plan, error) {
	var env struct {
		Payload string `json:"payload"`
	}
	if len(envelope) > maxEnvelope {
		return nil, fmt.Errorf("plan envelope: %d bytes, more than the limit of %d", len(envelope), maxEnvelope)
	}
	if err := json.Unmarshal(envelope, &env); err != nil {
		return nil, fmt.Errorf("plan envelope: %w", err)
	}
	payload, err := base64.StdEncoding.DecodeString(env.Payload)
	if err != nil {
		return nil, fmt.Errorf("plan envelope: %w", err)
	}
	return Parse(payload)
}
