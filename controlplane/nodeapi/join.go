package nodeapi

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/subtle"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/http"
	"time"

	"github.com/google/uuid"

	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/controlplane/history"
	"slipway.build/slipway/controlplane/identity"
	"slipway.build/slipway/controlplane/pki"
	"slipway.build/slipway/controlplane/store"
)

// maxToken bounds a token's length in bytes; ours have 43.
const maxToken = 256

// join gives a node its identity for a one-time token. The same token with the same key gets
// the same answer again, so that an agent which died before it could store the answer is not
// locked out; with another key it is refused and noted.
func (s *Server) join(w http.ResponseWriter, r *http.Request) error {
	var request protocol.JoinRequest
	if err := readBody(w, r, maxJoinBody, &request); err != nil {
		return err
	}
	certificate, err := s.enter(r.Context(), request)
	if err != nil {
		s.noteRefusal(r, request.Node, "join", err)
		return err
	}
	keys := s.System.Plans.Keys()
	writeJSON(w, http.StatusOK, protocol.JoinResponse{Certificate: certificate, PlanKeys: keys.Keys, PlanKeysNumber: keys.Number})
	return nil
}

func (s *Server) enter(ctx context.Context, request protocol.JoinRequest) (string, error) {
	if request.Token == "" || len(request.Token) > maxToken {
		return "", refuse(http.StatusBadRequest, codeBadRequest, "token must have 1 to %d bytes", maxToken)
	}
	id, key, err := checkRequest(request.Node, request.CSR)
	if err != nil {
		return "", err
	}
	return s.admit(ctx, request, id, key)
}

// checkRequest reads a node's request for its own certificate: it must name the node and carry a
// key of the only kind that nodes have.
func checkRequest(node, csr string) (uuid.UUID, *ecdsa.PublicKey, error) {
	bad := func(format string, a ...any) (uuid.UUID, *ecdsa.PublicKey, error) {
		return uuid.UUID{}, nil, refuse(http.StatusBadRequest, codeBadRequest, format, a...)
	}
	id, err := uuid.Parse(node)
	if err != nil || id.String() != node {
		return bad("node must be a UUID in its usual form")
	}
	parsed, err := pki.ParseRequest(csr)
	if err != nil {
		return bad("csr: %v", err)
	}
	if want := "node:" + node; parsed.Subject.CommonName != want {
		return bad("csr: the common name must be %q, found %q", want, cut(parsed.Subject.CommonName, 80))
	}
	if !isP256(parsed.PublicKey) {
		return bad("csr: the key must be ECDSA P-256, found %T", parsed.PublicKey)
	}
	return id, parsed.PublicKey.(*ecdsa.PublicKey), nil
}

func isP256(public any) bool {
	key, ok := public.(*ecdsa.PublicKey)
	return ok && key.Curve == elliptic.P256()
}

// admit checks the token and returns the node's certificate, the one from before when the
// token was used by the same key.
func (s *Server) admit(ctx context.Context, request protocol.JoinRequest, id uuid.UUID, key *ecdsa.PublicKey) (string, error) {
	node, err := s.Store.Node(ctx, request.Node)
	if err != nil && !store.IsNotFound(err) {
		return "", err
	}
	if err != nil || !sameToken(node, request.Token) || node.State == store.NodeRemoved {
		return "", refuse(http.StatusForbidden, codeTokenInvalid, "there is no node %s with this token", request.Node)
	}
	if !node.TokenUsedAt.IsZero() {
		return s.repeat(ctx, s.Store, node, key)
	}
	if s.Now().After(node.TokenExpiresAt) {
		return "", refuse(http.StatusForbidden, codeTokenExpired, "the token of node %s expired at %s; the node has to be made anew", node.ID, node.TokenExpiresAt.UTC().Format(time.RFC3339))
	}
	certificate, err := s.System.IssueNode(key, id)
	if err != nil {
		return "", err
	}
	err = s.Store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		// Of two that use a token at the same time one comes second: to it the token is used.
		// What the first has written may not be committed yet, so only this transaction sees it.
		now, err := tx.Node(ctx, node.ID)
		if err != nil {
			return err
		}
		if !now.TokenUsedAt.IsZero() {
			certificate, err = s.repeat(ctx, tx, now, key)
			return err
		}
		if err := tx.UseToken(ctx, node.ID, request.Token); err != nil {
			return err
		}
		if err := keepCertificate(ctx, tx, node, certificate); err != nil {
			return err
		}
		event := &store.Event{
			ClusterID: node.ClusterID, ResourceName: node.Name, PhysicalID: node.ID, ResourceType: history.NodeType,
			Status: "SIGNAL_IN_PROGRESS", StatusReason: "Signal: node joined", Actor: identity.NodeActor(node.Name),
		}
		if err := history.Place(ctx, tx, event, node.ID); err != nil {
			return err
		}
		return tx.InsertEvents(ctx, []*store.Event{event})
	})
	if err != nil {
		return "", err
	}
	s.Log.InfoContext(ctx, "node joined", "node", node.Name, "node_id", node.ID, "cluster", node.ClusterID)
	return certificate, nil
}

// repeat answers a token that was used before. The certificate from then may have expired; whoever
// has its key can renew it.
func (s *Server) repeat(ctx context.Context, facts Facts, node *store.Node, key *ecdsa.PublicKey) (string, error) {
	used := refuse(http.StatusForbidden, codeTokenUsed, "the token of node %s was used at %s, with another key", node.ID, node.TokenUsedAt.UTC().Format(time.RFC3339))
	certificate, err := facts.Fact(ctx, node.ClusterID, certificateFact(node.ID))
	if store.IsNotFound(err) {
		return "", used
	}
	if err != nil {
		return "", err
	}
	leaf, err := parseCertificate(certificate)
	if err != nil {
		return "", err
	}
	if !key.Equal(leaf.PublicKey) {
		return "", used
	}
	return certificate, nil
}

func sameToken(node *store.Node, token string) bool {
	return subtle.ConstantTimeCompare([]byte(node.TokenHash), []byte(store.HashToken(token))) == 1
}

// certificateFact is the fact that keeps the certificate a node joined with.
func certificateFact(node string) string { return "node-certificate/" + node }

func parseCertificate(text string) (*x509.Certificate, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("a node's certificate is no PEM")
	}
	return x509.ParseCertificate(block.Bytes)
}
