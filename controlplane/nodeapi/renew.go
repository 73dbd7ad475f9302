package nodeapi

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"

	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/controlplane/history"
	"slipway.build/slipway/controlplane/store"
)

// renew certifies a joined node's key again. Who has that key is the node, so no certificate that
// is still good is asked for: a node that was off until it had expired comes back by itself, for as
// long as it is registered. A request that somebody repeats yields a certificate for a key that he
// does not have.
func (s *Server) renew(w http.ResponseWriter, r *http.Request) error {
	var request protocol.RenewRequest
	if err := readBody(w, r, maxJoinBody, &request); err != nil {
		return err
	}
	certificate, err := s.readmit(r, request)
	if err != nil {
		s.noteRefusal(r, request.Node, "renewal", err)
		return err
	}
	writeJSON(w, http.StatusOK, protocol.RenewResponse{Certificate: certificate})
	return nil
}

func (s *Server) readmit(r *http.Request, request protocol.RenewRequest) (string, error) {
	ctx, peer := r.Context(), peerOf(r)
	if !s.peers.allow(peer) || !s.renewals.allow(peer+" "+request.Node) {
		return "", later(http.StatusTooManyRequests, codeTooMany, "too many renewals from %s; try again in a minute", peer)
	}
	id, key, err := checkRequest(request.Node, request.CSR)
	if err != nil {
		return "", err
	}
	node, last, err := s.vouchedFor(ctx, s.Store, request.Node, key)
	if err != nil {
		return "", err
	}
	certificate, err := s.System.IssueNode(key, id)
	if err != nil {
		return "", err
	}
	err = s.Store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		// It may have been removed since.
		if node, last, err = s.vouchedFor(ctx, tx, request.Node, key); err != nil {
			return err
		}
		if err := keepCertificate(ctx, tx, node, certificate); err != nil {
			return err
		}
		if s.Now().Before(last) {
			return nil
		}
		return history.OfNode(ctx, tx, node, store.Event{
			ID:     uuid.NewSHA1(uuid.NameSpaceURL, fmt.Appendf(nil, "re-entry/%s/%d", node.ID, last.Unix())).String(),
			Status: "SIGNAL_IN_PROGRESS", Actor: "peer:" + peer,
			StatusReason: fmt.Sprintf("Signal: node came back from %s with a certificate that had expired at %s", peer, last.UTC().Format(time.RFC3339)),
		})
	})
	if err != nil {
		return "", err
	}
	s.Log.InfoContext(ctx, "node certificate renewed", "node", node.Name, "node_id", node.ID, "cluster", node.ClusterID, "peer", r.RemoteAddr, "expired", !s.Now().Before(last))
	return certificate, nil
}

// nodeReader reads nodes and facts; a store and a transaction do.
type nodeReader interface {
	Facts
	Node(ctx context.Context, id string) (*store.Node, error)
}

// vouchedFor returns the node if it is registered, has joined and has joined with that key, and
// when its last certificate ends.
func (s *Server) vouchedFor(ctx context.Context, r nodeReader, id string, key *ecdsa.PublicKey) (*store.Node, time.Time, error) {
	var none time.Time
	node, err := r.Node(ctx, id)
	if store.IsNotFound(err) || (err == nil && node.State == store.NodeRemoved) {
		return nil, none, refuse(http.StatusForbidden, codeUnknownNode, "node %s is not known here, or no longer", id)
	}
	if err != nil {
		return nil, none, err
	}
	text, err := r.Fact(ctx, node.ClusterID, certificateFact(id))
	if store.IsNotFound(err) {
		return nil, none, refuse(http.StatusForbidden, codeNotJoined, "node %s has not joined yet; it joins with its token", id)
	}
	if err != nil {
		return nil, none, err
	}
	last, err := parseCertificate(text)
	if err != nil {
		return nil, none, err
	}
	if !key.Equal(last.PublicKey) {
		return nil, none, refuse(http.StatusForbidden, codeForeignKey, "node %s has joined with another key", id)
	}
	return node, last.NotAfter, nil
}

// keepCertificate remembers the newest certificate of a node.
func keepCertificate(ctx context.Context, tx *store.Tx, node *store.Node, certificate string) error {
	leaf, err := parseCertificate(certificate)
	if err != nil {
		return err
	}
	fingerprint := sha256.Sum256(leaf.Raw)
	if err := tx.RecordCertificate(ctx, node.ID, leaf.SerialNumber.Text(16), hex.EncodeToString(fingerprint[:])); err != nil {
		return err
	}
	return tx.SetFact(ctx, node.ClusterID, certificateFact(node.ID), certificate)
}
