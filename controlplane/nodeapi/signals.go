package nodeapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/google/uuid"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/controlplane/store"
)

// maxSignals bounds a batch of signals.
const maxSignals = 256

// signals takes reports of a node: all or none. A signal that is there already changes nothing.
func (s *Server) signals(w http.ResponseWriter, r *http.Request, node *store.Node) error {
	var batch []protocol.Signal
	if err := readBody(w, r, maxSignalsBody, &batch); err != nil {
		return err
	}
	if len(batch) > maxSignals {
		return refuse(http.StatusBadRequest, codeBadRequest, "a call brings at most %d signals, not %d", maxSignals, len(batch))
	}
	ctx := r.Context()
	if err := s.checkSignals(ctx, node, batch); err != nil {
		return err
	}
	if err := s.Store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		for _, signal := range batch {
			if err := record(ctx, tx, node, signal); err != nil {
				return fmt.Errorf("signal %s of node %s: %w", signal.ID, node.Name, err)
			}
		}
		return tx.TouchNode(ctx, node.ID)
	}); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// checkSignals refuses what this node may not say.
func (s *Server) checkSignals(ctx context.Context, node *store.Node, batch []protocol.Signal) error {
	owned := map[string]bool{}
	for i := range batch {
		signal := &batch[i]
		if id, err := uuid.Parse(signal.ID); err != nil || id.String() != signal.ID {
			return refuse(http.StatusBadRequest, codeBadRequest, "signal %d: id must be a UUID in its usual form", i)
		}
		if signal.Node != node.ID {
			return refuse(http.StatusForbidden, codeForeignNode, "signal %s: a node speaks for itself alone", signal.ID)
		}
		if signal.Phase == protocol.Observed {
			if err := checkObserved(*signal); err != nil {
				return err
			}
			continue
		}
		if signal.Phase == protocol.Acted {
			if err := s.checkActed(ctx, node, *signal); err != nil {
				return err
			}
			continue
		}
		if signal.Phase == protocol.Refused {
			signal.Deployment = ""
			continue
		}
		if !knownPhase(signal.Phase) {
			return refuse(http.StatusBadRequest, codeBadRequest, "signal %s: there is no phase %q", signal.ID, cut(string(signal.Phase), 40))
		}
		if signal.Phase == protocol.Joined && signal.Deployment == "" {
			continue
		}
		if _, seen := owned[signal.Deployment]; !seen {
			owns, err := s.owns(ctx, node, signal.Deployment)
			if err != nil {
				return err
			}
			owned[signal.Deployment] = owns
		}
		if !owned[signal.Deployment] && signal.Phase == protocol.Failed && signal.Log == "" && signal.Progress == nil {
			// It was given a plan that is not ours; whose deployment that is, it cannot know.
			signal.Phase, signal.Deployment = protocol.Refused, ""
			continue
		}
		if !owned[signal.Deployment] {
			return refuse(http.StatusForbidden, codeForeignNode, "signal %s: deployment %q is none of node %s", signal.ID, cut(signal.Deployment, 40), node.Name)
		}
	}
	return nil
}

// owns reports whether a deployment is one of the node's plans, or of the tasks in its current
// one.
func (s *Server) owns(ctx context.Context, node *store.Node, deployment string) (bool, error) {
	_, err := s.Store.PlanOf(ctx, node.ID, deployment)
	if err == nil || !store.IsNotFound(err) {
		return err == nil, err
	}
	row, err := s.Store.CurrentPlan(ctx, node.ID)
	if store.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	p, err := s.System.Plans.Open(ctx, row.Envelope)
	if err != nil {
		return false, err
	}
	return deployment != "" && slices.ContainsFunc(p.Tasks, func(t plan.Task) bool { return t.Deployment == deployment }), nil
}

func knownPhase(phase protocol.Phase) bool {
	switch phase {
	case protocol.Joined, protocol.Pulling, protocol.Staged, protocol.Switched, protocol.Healthy, protocol.Failed, protocol.RolledBack:
		return true
	}
	return false
}

// record stores one signal. The first of a phase is kept and becomes an event; further progress
// within the phase only replaces the node's latest report.
func record(ctx context.Context, tx *store.Tx, node *store.Node, signal protocol.Signal) error {
	signal = bounded(signal)
	switch signal.Phase {
	case protocol.Observed:
		return recordObserved(ctx, tx, node, signal)
	case protocol.Refused:
		return addSignalEvent(ctx, tx, node, signal)
	case protocol.Acted:
		return recordActed(ctx, tx, node, signal)
	}
	if known, err := tx.HasSignal(ctx, signal.ID); err != nil || known {
		return err
	}
	if err := keepReport(ctx, tx, node, signal); err != nil {
		return err
	}
	if signal.Progress != nil {
		if told, err := tx.HasPhase(ctx, node.ID, signal.Deployment, string(signal.Phase)); err != nil || told {
			tx.Notify(store.NodeTopic(node.ID))
			return err
		}
	}
	if _, err := keep(ctx, tx, node, signal, keptReports); err != nil {
		return err
	}
	return addSignalEvent(ctx, tx, node, signal)
}

// keptReports is how many signals of each phase of a deployment stay of a node, over all its
// deployments.
const keptReports = 256

// keptObservations is how many observations of a node stay: enough to know one that is sent again.
const keptObservations = 64

// recordObserved stores an observation, and what the node observes in place of what it did.
func recordObserved(ctx context.Context, tx *store.Tx, node *store.Node, signal protocol.Signal) error {
	fresh, err := keep(ctx, tx, node, signal, keptObservations)
	if err != nil || !fresh {
		return err
	}
	return observe(ctx, tx, node, signal)
}

// keep stores a signal, and of the node's signals of its phase only the newest. It returns false for
// one that is there already.
func keep(ctx context.Context, tx *store.Tx, node *store.Node, signal protocol.Signal, newest int) (fresh bool, err error) {
	text, err := json.Marshal(signal)
	if err != nil {
		return false, err
	}
	n, err := tx.InsertSignals(ctx, []*store.Signal{{
		ID: signal.ID, NodeID: node.ID, Deployment: signal.Deployment, Phase: string(signal.Phase), Body: text,
	}})
	if err != nil || n == 0 {
		return false, err
	}
	return true, tx.PruneSignals(ctx, node.ID, string(signal.Phase), newest)
}
