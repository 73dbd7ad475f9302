package nodeapi

import (
	"context"
	"fmt"
	"net/http"

	"github.com/google/uuid"

	"slipway.build/slipway/controlplane/history"
	"slipway.build/slipway/controlplane/store"
)

// maxRefusals bounds the events in a minute about one node's identity that was refused: reasons quote
// what the caller has sent, and a guesser must not fill the history.
const maxRefusals = 20

// noteRefusal adds an event about a node's identity that was refused, one a minute for each node,
// peer and reason at most.
func (s *Server) noteRefusal(r *http.Request, id, what string, cause error) {
	ctx, peer := r.Context(), peerOf(r)
	p := problemOf(cause)
	if p.status >= http.StatusInternalServerError || ctx.Err() != nil {
		return // ours, not the caller's
	}
	node, err := s.Store.Node(ctx, id)
	if err != nil {
		return // no node, so no cluster whose history this could be; the log has it
	}
	if !s.refusals.allow(node.ID) {
		return // likewise
	}
	reason := fmt.Sprintf("Signal: %s from %s refused: %s", what, peer, p.body.Code)
	if p.body.Code == codeBadRequest || p.body.Code == codeUnknownPurpose {
		reason += ": " + cut(p.body.Detail, maxReason)
	}
	if err := s.Store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		return history.OfNode(ctx, tx, node, store.Event{
			ID:     uuid.NewSHA1(uuid.NameSpaceURL, fmt.Appendf(nil, "%s-refused/%s/%s/%s/%d", what, id, peer, reason, s.Now().Unix()/60)).String(),
			Status: "SIGNAL_FAILED", StatusReason: reason, Actor: "peer:" + peer,
		})
	}); err != nil {
		s.Log.ErrorContext(ctx, "a refusal could not be noted", "what", what, "node_id", id, "error", err)
	}
}
