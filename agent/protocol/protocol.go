// Package protocol holds the messages of the node API: what an agent and the control plane
// say to each other besides the plan itself. All bodies are JSON over HTTP/2 and TLS 1.3.
//
//	POST /node/v1/join            JoinRequest   -> JoinResponse     (one-time token, no client certificate)
//	POST /node/v1/renew           RenewRequest  -> RenewResponse    (proof of the node's key, no client certificate)
//	GET  /node/v1/plan?wait=30s   If-None-Match -> Delivery, ETag   (304 when nothing changed in time)
//	POST /node/v1/signals         []Signal      -> 204              (idempotent by Signal.ID)
//	POST /node/v1/certificates    []CertificateRequest -> []CertificateResponse
//	GET  /node/v1/secrets/<name>@<version>      -> the value, application/octet-stream
//	POST /node/v1/actions/<id>/archive          the support archive -> 204
//
// After join every call carries the node's client certificate. Errors are Problem bodies.
package protocol

import "time"

// AgentConfig is /etc/slipway/agent.yaml, which Ignition writes: all that a new node knows.
type AgentConfig struct {
	ControlPlane string `json:"controlPlane" yaml:"controlPlane"` // https://host:port
	CA           string `json:"ca" yaml:"ca"`                     // PEM: who may sign the control plane's certificate
	Node         string `json:"node" yaml:"node"`                 // UUID
	Token        string `json:"token" yaml:"token"`               // one-time join token, bound to Node
	// Bandwidth bounds the fetching of images, in bytes a second; 0 for no bound.
	Bandwidth int64 `json:"bandwidth,omitempty" yaml:"bandwidth,omitempty"`
}

// JoinRequest proves with the token that the caller was booted as Node, and asks for a
// certificate for a key that was made on the node.
type JoinRequest struct {
	Node  string `json:"node"`
	Token string `json:"token"`
	CSR   string `json:"csr"` // PEM, P-256, CN "node:<uuid>"
}

// JoinResponse is the node's identity and the keys it will believe plans from.
type JoinResponse struct {
	Certificate string    `json:"certificate"` // PEM chain, leaf first
	PlanKeys    []PlanKey `json:"planKeys"`
	// PlanKeysNumber is that of the statement that PlanKeys stand in, 0 before the first one.
	PlanKeysNumber uint64 `json:"planKeysNumber,omitempty"`
}

// RenewRequest asks for a new certificate for the key that the node joined with. The request's
// signature proves that the caller has that key, so it needs no certificate: a node that was off
// until its certificate had expired comes back with it.
type RenewRequest struct {
	Node string `json:"node"`
	CSR  string `json:"csr"` // PEM, by the node's key, CN "node:<uuid>"
}

// RenewResponse is the node's new certificate.
type RenewResponse struct {
	Certificate string `json:"certificate"` // PEM chain, leaf first
}

// PlanKeySet says which keys plans may be signed with from now on. It travels in a DSSE envelope
// signed by a key of the set before it, so that keys are added and dropped without a new join.
type PlanKeySet struct {
	Number uint64    `json:"number"` // grows with each set
	Issued time.Time `json:"issued"`
	Keys   []PlanKey `json:"keys"`
}

// KeysPayloadType of the DSSE envelope around a PlanKeySet.
const KeysPayloadType = "application/vnd.slipway.plan-keys.v1+json"

// Signed is a statement with its detached signature.
type Signed struct {
	Bytes     []byte `json:"bytes"`
	Signature []byte `json:"signature"`
}

// PlanKey is a public key that plans may be signed with.
type PlanKey struct {
	ID     string `json:"id"`     // hex sha256 of the DER public key
	Public string `json:"public"` // PEM, ECDSA P-256
}

// Delivery is a plan on its way to a node. Envelope is DSSE JSON around the plan's canonical
// bytes. LockBytes and LockSignature are the lock that the plan names. A node without a plan
// gets an empty envelope when there are actions for it.
type Delivery struct {
	Envelope      []byte `json:"envelope"`
	LockBytes     []byte `json:"lock"`
	LockSignature []byte `json:"lockSignature"`
	// PlanKeys are all statements of plan keys there have been, DSSE JSON each, the oldest first: a
	// node takes those that it does not know yet, one after the other.
	PlanKeys [][]byte `json:"planKeys,omitempty"`
	// LockKeys are all statements of lock keys (imagebuild/lock), likewise.
	LockKeys []Signed `json:"lockKeys,omitempty"`
	// Actions are the remote actions that the node has not begun.
	Actions []ActionDelivery `json:"actions,omitempty"`
}

// PayloadType of the DSSE envelope around a plan.
const PayloadType = "application/vnd.slipway.plan.v1+json"

// CertificateRequest asks for one certificate of the current plan.
type CertificateRequest struct {
	Name    string `json:"name"`
	Purpose string `json:"purpose"`
	CSR     string `json:"csr"` // PEM; only its key counts, the subject is decided by purpose
}

// CertificateResponse is the certificate for the request of the same name.
type CertificateResponse struct {
	Name        string `json:"name"`
	Certificate string `json:"certificate"` // PEM chain, leaf first
}

// Phase is how far a node is with a deployment.
type Phase string

// The phases of a deployment in their order; the last three end it.
const (
	Joined     Phase = "joined"
	Pulling    Phase = "pulling"
	Staged     Phase = "staged"
	Switched   Phase = "switched"
	Healthy    Phase = "healthy"
	Failed     Phase = "failed"
	RolledBack Phase = "rolled-back"
)

// Refused is no phase of a deployment: the node was given something that it does not believe and
// that is no deployment of its own, such as another node's plan or a statement of keys by nobody
// that it trusts. Its deployment is empty, its reason says what was expected and found.
const Refused Phase = "refused"

// Observed is no phase of a deployment: the signal carries the node's conditions, and its
// deployment is empty.
const Observed Phase = "observed"

// Signal is one report of a node. It is written to the outbox before it is sent, sent until
// it is accepted and safe to repeat; a later progress report of a phase replaces an unsent
// earlier one.
type Signal struct {
	ID         string    `json:"id"` // UUID, made once
	Node       string    `json:"node"`
	Deployment string    `json:"deployment"`
	PlanDigest string    `json:"planDigest"`
	Phase      Phase     `json:"phase"`
	Time       time.Time `json:"time"`
	// Actor is who caused it when it was a person on the node: "on-host (root)". Whoever has the
	// node can write it, so it proves nothing.
	Actor string `json:"actor,omitempty"`
	// Progress is set while Phase is Pulling or Switched.
	Progress *Progress `json:"progress,omitempty"`
	// Conditions are all conditions of the node, set while Phase is Observed.
	Conditions []Condition `json:"conditions,omitempty"`
	// Action says which remote action is answered and how, set while Phase is Acted.
	Action *ActionAnswer `json:"action,omitempty"`
	// Reason says, for a person, what failed, on what, and what was expected.
	Reason string `json:"reason,omitempty"`
	// Log holds the last lines of the failing unit, secrets redacted; at most 8 KiB.
	Log string `json:"log,omitempty"`
	// Outputs are what tasks of the deployment found out, by task and name, set when the signal
	// ends a deployment: a member's id, a snapshot's digest.
	Outputs map[string]map[string]string `json:"outputs,omitempty"`
}

// Condition is one thing about the node that is watched beyond its units, such as its disk or
// its drift from the plan.
type Condition struct {
	Type    string    `json:"type"`    // CamelCase: "DiskPressure", "ClockSkew", "Drift", …; True means trouble
	Status  string    `json:"status"`  // "True", "False" or "Unknown"
	Reason  string    `json:"reason"`  // CamelCase, stable
	Message string    `json:"message"` // for a person, with figures and units
	Since   time.Time `json:"since"`   // of the last change of Status
}

// Progress counts what is done of what is known to be needed.
type Progress struct {
	BytesDone   int64  `json:"bytesDone,omitempty"`
	BytesTotal  int64  `json:"bytesTotal,omitempty"`
	UnitsActive int    `json:"unitsActive,omitempty"`
	UnitsTotal  int    `json:"unitsTotal,omitempty"`
	Waiting     string `json:"waiting,omitempty"` // what the node waits for, in words
}

// Problem is the body of an error answer.
type Problem struct {
	Code   string `json:"code"` // stable: "token-used", "unknown-purpose", …
	Detail string `json:"detail"`
	// Terminal is true when repeating the same request cannot succeed.
	Terminal bool `json:"terminal"`
}
