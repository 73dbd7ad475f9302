package nodeapi

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/controlplane/store"
)

// maxWait bounds a long poll.
const maxWait = 60 * time.Second

// seenInterval is how old a node's last call must be before a poll alone is noted again.
const seenInterval = 30 * time.Second

// plan delivers the node's newest plan, at once when it differs from the ETag that the node
// has, else as soon as it does. 304 or, for a node without any plan, 204 end a wait in vain.
func (s *Server) plan(w http.ResponseWriter, r *http.Request, node *store.Node) error {
	wait, err := readWait(r)
	if err != nil {
		return err
	}
	ctx := r.Context()
	if s.Now().Sub(node.SeenAt) > seenInterval {
		if err := s.Store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error { return tx.TouchNode(ctx, node.ID) }); err != nil {
			return err
		}
	}
	has := r.Header.Get("If-None-Match")
	subscription := s.Store.Subscribe(store.NodeTopic(node.ID))
	defer subscription.Close()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		row, err := s.Store.CurrentPlan(ctx, node.ID)
		if err != nil && !store.IsNotFound(err) {
			return err
		}
		found := err == nil
		if found && !matchesETag(has, row.Digest) {
			return s.deliver(ctx, w, row)
		}
		select {
		case <-subscription.C:
			// The node may have been removed: then its certificate is worth nothing any more.
			if _, err := s.caller(r); err != nil {
				return err
			}
			continue
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		case <-s.draining:
		}
		if !found {
			w.WriteHeader(http.StatusNoContent)
			return nil
		}
		w.Header().Set("ETag", etag(row.Digest))
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
}

func readWait(r *http.Request) (time.Duration, error) {
	text := r.URL.Query().Get("wait")
	if text == "" {
		return 0, nil
	}
	wait, err := time.ParseDuration(text)
	if err != nil || wait < 0 {
		return 0, refuse(http.StatusBadRequest, codeBadRequest, "wait must be a duration such as 30s")
	}
	return min(wait, maxWait), nil
}

// deliver answers with a plan and its lock. One that our key has not signed goes out as it is:
// the node refuses it and says so, which fails its deployment at once and with the reason, while
// an error here would be repeated until the deadline.
func (s *Server) deliver(ctx context.Context, w http.ResponseWriter, row *store.Plan) error {
	delivery := protocol.Delivery{Envelope: row.Envelope}
	p, err := s.System.Plans.Open(ctx, row.Envelope)
	if err != nil {
		s.Log.ErrorContext(ctx, "a stored plan is not ours, the node will refuse it", "node", row.NodeID, "generation", row.Generation, "error", err)
	} else if delivery.LockBytes, delivery.LockSignature, err = s.Locks.Lock(ctx, p.Lock); err != nil {
		return fmt.Errorf("lock %s of plan %d of node %s: %w", p.Lock, row.Generation, row.NodeID, err)
	}
	w.Header().Set("ETag", etag(row.Digest))
	writeJSON(w, http.StatusOK, delivery)
	return nil
}

// currentPlan opens the node's newest plan.
func (s *Server) currentPlan(ctx context.Context, node *store.Node) (*plan.Plan, error) {
	row, err := s.Store.CurrentPlan(ctx, node.ID)
	if store.IsNotFound(err) {
		return nil, later(http.StatusConflict, codeNotInPlan, "node %s has no plan yet", node.Name)
	}
	if err != nil {
		return nil, err
	}
	p, err := s.System.Plans.Open(ctx, row.Envelope)
	if err != nil {
		return nil, fmt.Errorf("stored plan %d of node %s: %w", row.Generation, node.ID, err)
	}
	return p, nil
}

func etag(digest string) string { return `"` + digest + `"` }

// matchesETag reports whether an If-None-Match header names the digest.
func matchesETag(header, digest string) bool {
	for _, candidate := range strings.Split(header, ",") {
		if strings.TrimPrefix(strings.TrimSpace(candidate), "W/") == etag(digest) {
			return true
		}
	}
	return false
}
