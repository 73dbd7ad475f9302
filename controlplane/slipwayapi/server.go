package slipwayapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/google/uuid"

	"slipway.build/slipway/agent/action"
	"slipway.build/slipway/controlplane/actions"
	"slipway.build/slipway/controlplane/api"
	"slipway.build/slipway/controlplane/identity"
	"slipway.build/slipway/controlplane/store"
)

// Images finds what a node would fetch ahead; conductor.Trust does.
type Images interface {
	// Ahead returns the arguments of a pull of the images with those names, by the newest signed
	// lock; of all that the node's current plan names when there are none. An error is terminal
	// when a name is wrong.
	Ahead(ctx context.Context, node *store.Node, names []string) (action.Arguments, error)
}

// Config is what the API needs; all but Log must be set.
type Config struct {
	Store    *store.Store
	Desk     *actions.Desk
	Images   Images
	Identity identity.Authenticator
	Log      *slog.Logger // slog.Default when nil
}

type server struct {
	Config
	mux *http.ServeMux
}

// handler answers a request, or returns the error to answer with.
type handler func(w http.ResponseWriter, r *http.Request) error

// New returns the API. It answers below /slipway/v1.
func New(config Config) http.Handler {
	if config.Log == nil {
		config.Log = slog.Default()
	}
	s := &server{Config: config, mux: http.NewServeMux()}
	s.tenant("GET /slipway/v1/clusters/{cluster}/nodes", s.listNodes)
	s.tenant("GET /slipway/v1/nodes/{node}", s.showNode)
	s.tenant("GET /slipway/v1/nodes/{node}/actions", s.listActions)
	s.tenant("POST /slipway/v1/nodes/{node}/actions", s.requestAction)
	s.tenant("GET /slipway/v1/nodes/{node}/actions/{action}", s.showAction)
	s.tenant("GET /slipway/v1/nodes/{node}/actions/{action}/archive", s.archive)
	s.tenant("/slipway/", func(http.ResponseWriter, *http.Request) error {
		return problem(http.StatusNotFound, "The resource could not be found.")
	})
	return s
}

// ServeHTTP implements http.Handler.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// tenant registers a handler for authenticated callers.
func (s *server) tenant(pattern string, h handler) {
	refuse := func(w http.ResponseWriter, _ *http.Request, status int, err error) {
		api.WriteError(w, w.Header().Get(requestHeader), &api.Error{Status: status, Detail: err.Error()})
	}
	guarded := identity.Require(s.Identity, refuse, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			s.answerError(w, r, err)
		}
	}))
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(requestHeader, "req-"+uuid.NewString())
		defer s.recoverPanic(w, r)
		guarded.ServeHTTP(w, r)
	})
}

// requestHeader names a request in answers and in the log.
const requestHeader = "X-Openstack-Request-Id"

func (s *server) answerError(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // the caller has hung up
	}
	var known *api.Error
	if !errors.As(err, &known) {
		s.Log.ErrorContext(r.Context(), "request failed", "request_id", w.Header().Get(requestHeader), "method", r.Method, "path", r.URL.Path, "error", err)
	}
	api.WriteError(w, w.Header().Get(requestHeader), err)
}

func (s *server) recoverPanic(w http.ResponseWriter, r *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	if p == http.ErrAbortHandler {
		panic(p)
	}
	s.Log.ErrorContext(r.Context(), "request panicked", "request_id", w.Header().Get(requestHeader), "method", r.Method, "path", r.URL.Path, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
	api.WriteError(w, w.Header().Get(requestHeader), errors.New("panic"))
}

func problem(status int, format string, a ...any) error {
	return &api.Error{Status: status, Detail: fmt.Sprintf(format, a...)}
}

func writeJSON(w http.ResponseWriter, status int, body any) error {
	encoded, err := json.Marshal(body)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(encoded) // the client may have gone; there is nobody to tell
	return nil
}

// instant is a time as the API shows it, nil for none.
func instant(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	text := t.UTC().Format(time.RFC3339)
	return &text
}
