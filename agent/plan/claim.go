package plan

import (
	"encoding/base64"
	"encoding/json"
)

// Claim is what an envelope says about itself. It is not verified: good for telling whose plan is
// refused, and for nothing else.
type Claim struct {
	Digest     string
	Node       string
	Deployment string
	Generation uint64
}

// ClaimOf reads the claim of an envelope; what cannot be read is empty.
func ClaimOf(envelope []byte) Claim {
	var env struct {
		Payload string `json:"payload"`
	}
	if len(envelope) > maxEnvelope || json.Unmarshal(envelope, &env) != nil {
		return Claim{}
	}
	payload, err := base64.StdEncoding.DecodeString(env.Payload)
	if err != nil {
		return Claim{}
	}
	var head struct {
		Node struct {
			ID string `json:"id"`
		} `json:"node"`
		Deployment string `json:"deployment"`
		Generation uint64 `json:"generation"`
	}
	_ = json.Unmarshal(payload, &head) // a payload that is no JSON still has a digest
	if len(head.Deployment) > 128 {
		head.Deployment = ""
	}
	return Claim{Digest: DigestOf(payload), Node: head.Node.ID, Deployment: head.Deployment, Generation: head.Generation}
}
