package slipwayapi

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"time"

	"slipway.build/slipway/agent/action"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/controlplane/actions"
	"slipway.build/slipway/controlplane/fault"
	"slipway.build/slipway/controlplane/identity"
	"slipway.build/slipway/controlplane/store"
)

// actionItem is an action as the API shows it.
type actionItem struct {
	ID          string                  `json:"id"`
	Number      uint64                  `json:"number"`
	NodeID      string                  `json:"node_id"`
	NodeName    string                  `json:"node_name"`
	ClusterID   string                  `json:"cluster_id"`
	Kind        string                  `json:"kind"`
	Arguments   json.RawMessage         `json:"arguments"`
	What        string                  `json:"what"` // kind and arguments in a few words
	Actor       string                  `json:"actor"`
	State       string                  `json:"state"`
	Ended       bool                    `json:"ended"`
	Reason      string                  `json:"reason,omitempty"`
	RequestedAt *string                 `json:"requested_at"`
	ExpiresAt   *string                 `json:"expires_at"`
	DeliveredAt *string                 `json:"delivered_at"`
	StartedAt   *string                 `json:"started_at"`
	EndedAt     *string                 `json:"ended_at"`
	Progress    *protocol.Progress      `json:"progress,omitempty"`
	Results     []protocol.ActionResult `json:"results,omitempty"`
	Output      string                  `json:"output,omitempty"`
	Log         string                  `json:"log,omitempty"`
	Archive     *archiveItem            `json:"archive,omitempty"`
}

type archiveItem struct {
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

func viewAction(node *store.Node, row *store.Action) actionItem {
	item := actionItem{
		ID: row.ID, Number: row.Number, NodeID: row.NodeID, NodeName: node.Name, ClusterID: row.ClusterID,
		Kind: row.Kind, Arguments: row.Arguments, What: actions.Describe(row), Actor: row.Actor,
		State: row.State, Ended: row.Ended(), Reason: row.Reason, RequestedAt: instant(row.CreatedAt), ExpiresAt: instant(row.ExpiresAt),
		DeliveredAt: instant(row.DeliveredAt), StartedAt: instant(row.StartedAt), EndedAt: instant(row.EndedAt),
	}
	var answer protocol.Signal
	if json.Unmarshal(row.Answer, &answer) == nil && answer.Action != nil {
		item.Results, item.Output, item.Log = answer.Action.Results, answer.Action.Output, answer.Log
		if !item.Ended {
			item.Progress = answer.Progress
		}
	}
	if row.ArchiveSHA256 != "" {
		item.Archive = &archiveItem{row.ArchiveSize, row.ArchiveSHA256}
	}
	return item
}

// order is the body of a request for an action. Which fields there are depends on the kind.
type order struct {
	Kind         action.Kind        `json:"kind"`
	Unit         string             `json:"unit,omitempty"`
	Lines        int                `json:"lines,omitempty"` // 100 when absent
	Checks       []action.CheckName `json:"checks,omitempty"`
	Certificates []string           `json:"certificates,omitempty"`
	Images       []string           `json:"images,omitempty"` // names in the lock
	// ExpiresIn is a duration such as "10m", at most 24h.
	ExpiresIn string `json:"expires_in,omitempty"`
}

// maxOrder bounds the body of a request in bytes.
const maxOrder = 64 << 10

// defaultLines is how many lines of a log are told when the request does not say.
const defaultLines = 100

func (s *server) requestAction(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	node, err := s.node(r)
	if err != nil {
		return err
	}
	body, err := readOrder(w, r)
	if err != nil {
		return err
	}
	arguments := action.Arguments{Unit: body.Unit, Lines: body.Lines, Checks: body.Checks, Certificates: body.Certificates}
	switch body.Kind {
	case action.Pull:
		ahead, err := s.Images.Ahead(ctx, node, body.Images)
		if err != nil {
			return orderProblem(err)
		}
		arguments.Images, arguments.Lock, arguments.Registries = ahead.Images, ahead.Lock, ahead.Registries
	case action.Logs:
		if arguments.Lines == 0 {
			arguments.Lines = defaultLines
		}
	}
	if body.Kind != action.Pull && len(body.Images) > 0 {
		return problem(http.StatusBadRequest, "Invalid input for field/attribute images. An action of kind %s has no such argument.", shown(string(body.Kind)))
	}
	life, err := readLife(body.ExpiresIn)
	if err != nil {
		return err
	}
	row, err := s.Desk.Request(ctx, node, actions.Order{Kind: body.Kind, Arguments: arguments, Actor: identity.FromContext(ctx).Actor(), Life: life})
	if err != nil {
		return orderProblem(err)
	}
	w.Header().Set("Location", "/slipway/v1/nodes/"+node.ID+"/actions/"+row.ID)
	return writeJSON(w, http.StatusAccepted, viewAction(node, row))
}

// orderProblem turns what the desk says of an order into an answer.
func orderProblem(err error) error {
	switch fault.KindOf(err) {
	case fault.Terminal:
		return problem(http.StatusBadRequest, "Invalid input. %v", err)
	case fault.Conflict:
		return problem(http.StatusConflict, "%v", err)
	}
	return err
}

func readOrder(w http.ResponseWriter, r *http.Request) (*order, error) {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return nil, problem(http.StatusUnsupportedMediaType, "Unsupported media type. Send application/json.")
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxOrder))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return nil, problem(http.StatusRequestEntityTooLarge, "Request is too large. The limit is %d bytes.", maxOrder)
	}
	if err != nil {
		return nil, problem(http.StatusBadRequest, "The request body could not be read.")
	}
	body := new(order)
	if err := plan.Decode(text, body); err != nil {
		return nil, problem(http.StatusBadRequest, "Invalid input. %v", err)
	}
	return body, nil
}

// shortestLife leaves a node the time to ask.
const shortestLife = time.Second

func readLife(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	life, err := time.ParseDuration(text)
	if err != nil || life < shortestLife || life > action.MaxLife {
		return 0, problem(http.StatusBadRequest, "Invalid input for field/attribute expires_in. Value: '%s'. It should be a duration from %s to %s, such as 10m.", shown(text), shortestLife, action.MaxLife)
	}
	return life, nil
}

func (s *server) listActions(w http.ResponseWriter, r *http.Request) error {
	node, err := s.node(r)
	if err != nil {
		return err
	}
	const all = 1000
	rows, err := s.Store.Actions(r.Context(), node.ID, all)
	if err != nil {
		return err
	}
	items := []actionItem{}
	for i := range rows {
		items = append(items, viewAction(node, &rows[i]))
	}
	return writeJSON(w, http.StatusOK, map[string]any{"actions": items})
}

// maxWait bounds how long a request waits for a change.
const maxWait = 60 * time.Second

// showAction answers with an action; with wait and the ETag of an earlier answer, as soon as it
// has changed, or 304.
func (s *server) showAction(w http.ResponseWriter, r *http.Request) error {
	wait, err := time.ParseDuration(r.URL.Query().Get("wait"))
	if r.URL.Query().Get("wait") == "" {
		wait = 0
	} else if err != nil || wait < 0 {
		return problem(http.StatusBadRequest, "Invalid input for field/attribute wait. It should be a duration such as 30s.")
	}
	subscription := s.Store.Subscribe(store.ActionTopic(r.PathValue("action")))
	defer subscription.Close()
	timer := time.NewTimer(min(wait, maxWait))
	defer timer.Stop()
	for {
		node, row, err := s.action(r)
		if err != nil {
			return err
		}
		item := viewAction(node, row)
		tag, err := etagOf(item)
		if err != nil {
			return err
		}
		w.Header().Set("ETag", tag)
		if r.Header.Get("If-None-Match") != tag {
			return writeJSON(w, http.StatusOK, item)
		}
		select {
		case <-subscription.C:
		case <-r.Context().Done():
			return r.Context().Err()
		case <-timer.C:
			w.WriteHeader(http.StatusNotModified)
			return nil
		}
	}
}

func etagOf(item actionItem) (string, error) {
	text, err := json.Marshal(item)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return `"` + hex.EncodeToString(sum[:16]) + `"`, nil
}

func (s *server) archive(w http.ResponseWriter, r *http.Request) error {
	node, row, err := s.action(r)
	if err != nil {
		return err
	}
	file, err := s.Desk.Archives.Open(row)
	if errors.Is(err, fs.ErrNotExist) {
		return problem(http.StatusNotFound, "Action %s of node %s has no archive, or none any more.", row.ID, node.Name)
	}
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/gzip")
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": fmt.Sprintf("%s-%s.tar.gz", node.Name, row.ID)}))
	w.Header().Set("ETag", `"`+row.ArchiveSHA256+`"`)
	http.ServeContent(w, r, "", info.ModTime(), file)
	return nil
}
