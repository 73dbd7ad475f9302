package nodeapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"slipway.build/slipway/agent/protocol"
)

// The codes of problems. They are part of the protocol: agents compare them.
const (
	codeBadRequest     = "bad-request"
	codeTooLarge       = "too-large"
	codeNotJoined      = "not-joined"
	codeUnknownNode    = "unknown-node"
	codeTokenInvalid   = "token-invalid"
	codeTokenUsed      = "token-used"
	codeTokenExpired   = "token-expired"
	codeUnknownPurpose = "unknown-purpose"
	codeNotInPlan      = "not-in-plan"
	codeForeignNode    = "foreign-node"
	codeForeignKey     = "foreign-key"
	codeExpired        = "certificate-expired"
	codeTooMany        = "too-many"
	codeNotFound       = "not-found"
	codeActionEnded    = "action-ended"
	codeBusy           = "busy"
	codeInternal       = "internal"
)

// problem is an answer other than success.
type problem struct {
	status int
	body   protocol.Problem
}

func (p *problem) Error() string { return p.body.Code + ": " + p.body.Detail }

// refuse returns a problem that no repetition can heal.
func refuse(status int, code, format string, a ...any) error {
	return &problem{status, protocol.Problem{Code: code, Detail: fmt.Sprintf(format, a...), Terminal: true}}
}

// later returns a problem that may pass.
func later(status int, code, format string, a ...any) error {
	return &problem{status, protocol.Problem{Code: code, Detail: fmt.Sprintf(format, a...)}}
}

// problemOf returns the problem that err is; for any other error one that hides it.
func problemOf(err error) *problem {
	var p *problem
	if errors.As(err, &p) {
		return p
	}
	return &problem{http.StatusInternalServerError, protocol.Problem{Code: codeInternal, Detail: "the control plane could not do this now; its log says why"}}
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	encoded, err := json.Marshal(body)
	if err != nil {
		http.Error(w, "encode answer", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(encoded) // the node may have gone; it asks again
}
