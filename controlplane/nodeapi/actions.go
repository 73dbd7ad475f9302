package nodeapi

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"time"

	"github.com/google/uuid"

	"slipway.build/slipway/agent/action"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/controlplane/actions"
	"slipway.build/slipway/controlplane/store"
)

// checkActed refuses an answer to an action that is not one.
func (s *Server) checkActed(ctx context.Context, node *store.Node, signal protocol.Signal) error {
	bad := func(format string, a ...any) error {
		return refuse(http.StatusBadRequest, codeBadRequest, "signal %s: %s", signal.ID, fmt.Sprintf(format, a...))
	}
	answer := signal.Action
	if signal.Deployment != "" || answer == nil {
		return bad("an answer names an action and no deployment")
	}
	if id, err := uuid.Parse(answer.ID); err != nil || id.String() != answer.ID {
		return bad("action.id must be a UUID in its usual form")
	}
	switch answer.Status {
	case protocol.ActionStarted, protocol.ActionDone, protocol.ActionFailed, protocol.ActionRefused, protocol.ActionExpired:
	default:
		return bad("there is no status %q of an action", cut(string(answer.Status), 40))
	}
	if len(answer.Results) > protocol.MaxActionResults {
		return bad("it has %d results, more than %d", len(answer.Results), protocol.MaxActionResults)
	}
	for i, result := range answer.Results {
		if result.Status != protocol.ResultOK && result.Status != protocol.ResultTrouble && result.Status != protocol.ResultUnknown {
			return bad("action.results[%d].status: there is no status %q of a result", i, cut(result.Status, 40))
		}
	}
	// A refusal may be about what was never meant for the node; all else is about its own.
	if answer.Status == protocol.ActionRefused {
		return nil
	}
	row, err := s.Store.Action(ctx, answer.ID)
	if err != nil && !store.IsNotFound(err) {
		return err
	}
	if err != nil || row.NodeID != node.ID {
		return refuse(http.StatusForbidden, codeForeignNode, "signal %s: action %s is none of node %s", signal.ID, answer.ID, node.Name)
	}
	return nil
}

// Limits of an answer's texts in bytes; longer ones are cut.
const (
	maxResultName    = 256
	maxResultMessage = 1 << 10
)

// keptAnswers is how many answers of a node stay beside its actions.
const keptAnswers = 64

// recordActed stores what a node says of an action. Progress is kept with the action alone.
func recordActed(ctx context.Context, tx *store.Tx, node *store.Node, signal protocol.Signal) error {
	answer := *signal.Action
	answer.Output = cutFront(answer.Output, protocol.MaxActionOutput)
	answer.Results = append([]protocol.ActionResult(nil), answer.Results...)
	for i := range answer.Results {
		answer.Results[i].Name = cut(answer.Results[i].Name, maxResultName)
		answer.Results[i].Message = cut(answer.Results[i].Message, maxResultMessage)
	}
	signal.Action = &answer
	if signal.Progress == nil {
		fresh, err := keep(ctx, tx, node, signal, keptAnswers)
		if err != nil || !fresh {
			return err
		}
	}
	return actions.Answer(ctx, tx, node, signal)
}

// deliverable returns the actions that the node has not begun.
func (s *Server) deliverable(ctx context.Context, node *store.Node) ([]store.Action, error) {
	return s.Store.PendingActions(ctx, node.ID, s.Now())
}

// withActions adds actions to a delivery, with the locks that they name, and notes that they are
// on their way.
func (s *Server) withActions(ctx context.Context, node *store.Node, delivery *protocol.Delivery, pending []store.Action) error {
	for i := range pending {
		one := protocol.ActionDelivery{Envelope: pending[i].Envelope}
		if digest := pending[i].LockDigest; digest != "" {
			var err error
			if one.LockBytes, one.LockSignature, err = s.Locks.Lock(ctx, digest); err != nil && !store.IsNotFound(err) {
				return fmt.Errorf("lock %s of action %s: %w", digest, pending[i].ID, err)
			} // without its lock the node refuses it, and says so
		}
		delivery.Actions = append(delivery.Actions, one)
	}
	return s.Actions.Delivered(ctx, node, pending)
}

// uploadTime bounds the time in which an archive comes.
const uploadTime = 10 * time.Minute

// archive takes the support archive of an action of the node. It may be sent again until the
// action has ended.
func (s *Server) archive(w http.ResponseWriter, r *http.Request, node *store.Node) error {
	ctx := r.Context()
	row, err := s.Store.Action(ctx, r.PathValue("action"))
	if err != nil && !store.IsNotFound(err) {
		return err
	}
	if err != nil || row.NodeID != node.ID || row.Kind != string(action.Bundle) {
		return refuse(http.StatusForbidden, codeForeignNode, "node %s has no such action that delivers an archive", node.Name)
	}
	if row.Ended() && row.State != store.ActionExpired {
		return refuse(http.StatusConflict, codeActionEnded, "action %s has ended as %s", row.ID, row.State)
	}
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/gzip" {
		return refuse(http.StatusUnsupportedMediaType, codeBadRequest, "an archive is sent as application/gzip")
	}
	if r.ContentLength > protocol.MaxArchive {
		return refuse(http.StatusRequestEntityTooLarge, codeTooLarge, "an archive has at most %d bytes", protocol.MaxArchive)
	}
	deadline := time.Now().Add(uploadTime)
	controller := http.NewResponseController(w)
	// Where the connection has no deadlines of its own, the server's hold.
	_ = errors.Join(controller.SetReadDeadline(deadline), controller.SetWriteDeadline(deadline))
	size, sum, err := s.Actions.Archives.Put(row, http.MaxBytesReader(w, r.Body, protocol.MaxArchive))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return refuse(http.StatusRequestEntityTooLarge, codeTooLarge, "an archive has at most %d bytes", tooLarge.Limit)
	}
	if errors.Is(err, actions.ErrBusy) {
		return later(http.StatusConflict, codeBusy, "%v; send this one after it", err)
	}
	if err != nil {
		s.Log.WarnContext(ctx, "a support archive was not kept", "node", node.Name, "action", row.ID, "error", err)
		return later(http.StatusServiceUnavailable, codeInternal, "the archive could not be kept whole; send it again")
	}
	if err := s.Store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error {
		now, err := tx.Action(ctx, row.ID)
		if err != nil {
			return err
		}
		now.ArchiveSize, now.ArchiveSHA256 = size, sum
		return tx.UpdateAction(ctx, now)
	}); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
