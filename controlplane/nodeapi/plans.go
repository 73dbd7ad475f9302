package nodeapi

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
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

// plan delivers the node's newest plan and its actions, at once when there is something new
// compared with the ETag that the node has, else as soon as there is. A plan that the node has is
// not delivered again with an action. 304 or, for a node without any plan, 204 end a wait in vain.
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
	has := parseETag(r.Header.Get("If-None-Match"))
	subscription := s.Store.Subscribe(store.NodeTopic(node.ID))
	defer subscription.Close()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		row, err := s.Store.CurrentPlan(ctx, node.ID)
		if store.IsNotFound(err) {
			row, err = &store.Plan{}, nil
		}
		if err != nil {
			return err
		}
		pending, err := s.deliverable(ctx, node)
		if err != nil {
			return err
		}
		if row.Digest != "" && row.Digest != has.digest() {
			if row, err = s.reissue(ctx, node, row); err != nil {
				return err
			}
		}
		if s.named(row) != has.plan || newest(pending) > has.action {
			return s.deliver(ctx, w, node, row, pending, has)
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
		if has == (version{}) {
			w.WriteHeader(http.StatusNoContent)
			return nil
		}
		w.Header().Set("ETag", has.etag())
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

// deliver answers with what the node does not have: the plan with its lock and the statements of
// keys, and all actions that it has not begun. A plan that our key has not signed goes out as it
// is: the node refuses it and says so, which fails its deployment at once and with the reason,
// while an error here would be repeated until the deadline.
func (s *Server) deliver(ctx context.Context, w http.ResponseWriter, node *store.Node, row *store.Plan, pending []store.Action, has version) error {
	delivery := protocol.Delivery{PlanKeys: s.System.Plans.Statements(), LockKeys: s.Locks.Keys()}
	if s.named(row) != has.plan {
		delivery.Envelope = row.Envelope
		p, err := s.System.Plans.Open(ctx, row.Envelope)
		if err != nil {
			s.Log.ErrorContext(ctx, "a stored plan is not ours, the node will refuse it", "node", row.NodeID, "generation", row.Generation, "error", err)
		} else if delivery.LockBytes, delivery.LockSignature, err = s.Locks.Lock(ctx, p.Lock); err != nil {
			return fmt.Errorf("lock %s of plan %d of node %s: %w", p.Lock, row.Generation, row.NodeID, err)
		} else if delivery.Envelope, err = s.System.Plans.Refresh(ctx, row.Envelope); err != nil {
			return fmt.Errorf("plan %d of node %s: %w", row.Generation, row.NodeID, err)
		}
	}
	if err := s.withActions(ctx, node, &delivery, pending); err != nil {
		return err
	}
	w.Header().Set("ETag", version{s.named(row), max(has.action, newest(pending))}.etag())
	writeJSON(w, http.StatusOK, delivery)
	return nil
}

// newest is the highest number of the actions, 0 when there are none.
func newest(pending []store.Action) uint64 {
	if len(pending) == 0 {
		return 0
	}
	return pending[len(pending)-1].Number
}

// named names a plan, and the statements of keys that go with it; "" when there is no plan.
func (s *Server) named(row *store.Plan) string {
	plans, locks := len(s.System.Plans.Statements()), len(s.Locks.Keys())
	if row.Digest == "" || plans+locks == 0 {
		return row.Digest
	}
	return fmt.Sprintf("%s+%d.%d", row.Digest, plans, locks)
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

// version is what a node has: a plan, and its actions up to a number.
type version struct {
	plan   string // as named returns it
	action uint64
}

// digest is that of the plan alone.
func (v version) digest() string {
	digest, _, _ := strings.Cut(v.plan, "+")
	return digest
}

func (v version) etag() string {
	if v.action == 0 {
		return `"` + v.plan + `"`
	}
	return fmt.Sprintf(`"%s/%d"`, v.plan, v.action)
}

// parseETag reads what etag wrote; anything else is the version of a node that has nothing.
func parseETag(header string) version {
	text, quoted := strings.CutPrefix(strings.TrimPrefix(strings.TrimSpace(header), "W/"), `"`)
	text, closed := strings.CutSuffix(text, `"`)
	if !quoted || !closed {
		return version{}
	}
	digest, number, found := strings.Cut(text, "/")
	if !found {
		return version{plan: digest}
	}
	n, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return version{}
	}
	return version{digest, n}
}
