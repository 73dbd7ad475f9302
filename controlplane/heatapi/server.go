package heatapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/google/uuid"

	"slipway.build/slipway/controlplane/identity"
	"slipway.build/slipway/controlplane/orchestration/engine"
	"slipway.build/slipway/controlplane/store"
)

// Queries reads trees of stacks; engine.Engine is one.
type Queries interface {
	Resources(ctx context.Context, stack string, nestedDepth int) ([]engine.ResourceView, error)
	Events(ctx context.Context, stack string, nestedDepth int, f store.EventFilter, p store.Page) ([]store.Event, error)
	Outputs(ctx context.Context, stack string) (map[string]any, error)
}

// Config is what the API needs; all but Prefix and Log must be set.
type Config struct {
	Store    *store.Store
	Queries  Queries
	Identity identity.Authenticator
	// Prefix is the path below which the API is served, such as "/heat"; it stands in links.
	Prefix string
	Log    *slog.Logger // slog.Default when nil
}

type server struct {
	Config
	mux *http.ServeMux
}

// New returns the API. Its paths begin with Prefix.
func New(config Config) http.Handler {
	if config.Log == nil {
		config.Log = slog.Default()
	}
	config.Prefix = strings.TrimRight(config.Prefix, "/")
	s := &server{Config: config, mux: http.NewServeMux()}
	s.mux.HandleFunc("GET "+s.Prefix+"/{$}", s.versions)
	if s.Prefix != "" {
		s.mux.HandleFunc("GET "+s.Prefix, s.versions)
	}
	s.project("stacks", s.listStacks)
	s.project("stacks/{stack}", s.redirect)
	s.project("stacks/{stack}/{rest...}", s.redirect)
	s.stack("", s.showStack)
	s.stack("/resources", s.listResources)
	s.stack("/resources/{resource}", s.showResource)
	s.stack("/resources/{resource}/metadata", s.showMetadata)
	s.stack("/resources/{resource}/events", s.listEvents)
	s.stack("/resources/{resource}/events/{event}", s.showEvent)
	s.stack("/events", s.listEvents)
	s.stack("/template", s.showTemplate)
	s.stack("/outputs", s.listOutputs)
	s.stack("/outputs/{output}", s.showOutput)
	s.stack("/graph", s.showGraph)
	s.mux.HandleFunc("/", s.unknownPath)
	return http.HandlerFunc(s.outer)
}

// outer gives each answer its request id and turns a panic into an answer.
func (s *server) outer(w http.ResponseWriter, r *http.Request) {
	id := "req-" + uuid.NewString()
	w.Header().Set("X-Openstack-Request-Id", id)
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if p == http.ErrAbortHandler {
			panic(p)
		}
		s.Log.ErrorContext(r.Context(), "request panicked", "request_id", id, "path", r.URL.Path, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
		writeError(w, errors.New("panic"))
	}()
	s.mux.ServeHTTP(w, r)
}

// project registers a call below a project for the project's callers.
func (s *server) project(path string, h func(http.ResponseWriter, *http.Request) error) {
	guarded := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if caller := identity.FromContext(r.Context()); caller.ProjectID != r.PathValue("project") {
			writeError(w, &problem{http.StatusForbidden, "Forbidden", "You are not authorized to use this project."})
			return
		}
		if err := h(w, r); err != nil {
			s.fail(w, r, err)
		}
	})
	refuse := func(w http.ResponseWriter, _ *http.Request, status int, err error) {
		kind := "Forbidden"
		if status == http.StatusUnauthorized {
			kind = "HTTPUnauthorized"
		}
		writeError(w, &problem{status, kind, err.Error()})
	}
	s.mux.Handle("GET "+s.Prefix+"/v1/{project}/"+path, identity.Require(s.Identity, refuse, guarded))
}

// stack registers a call below a stack that is named in full.
func (s *server) stack(path string, h func(http.ResponseWriter, *http.Request, *store.Stack) error) {
	s.project("stacks/{stack}/{id}"+path, func(w http.ResponseWriter, r *http.Request) error {
		row, err := s.Store.FindStack(r.Context(), r.PathValue("project"), r.PathValue("id"))
		if store.IsNotFound(err) || (err == nil && row.ID != r.PathValue("id")) {
			// Not an id: /stacks/<name>/resources, which redirects to the full form.
			return s.redirect(w, r)
		}
		if err != nil {
			return err
		}
		if row.Name != r.PathValue("stack") {
			return stackNotFound(r.PathValue("stack"))
		}
		return h(w, r, row)
	})
}

func (s *server) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // the client has hung up
	}
	var p *problem
	if !errors.As(err, &p) {
		s.Log.ErrorContext(r.Context(), "request failed", "request_id", w.Header().Get("X-Openstack-Request-Id"), "path", r.URL.Path, "error", err)
	}
	writeError(w, err)
}

// unknownPath answers 405 to a method other than GET, else 404.
func (s *server) unknownPath(w http.ResponseWriter, r *http.Request) {
	if !slices.Contains([]string{http.MethodGet, http.MethodHead}, r.Method) {
		w.Header().Set("Allow", "GET")
		writeError(w, &problem{http.StatusMethodNotAllowed, "HTTPMethodNotAllowed", "Stacks are read here; change the cluster through Magnum's API."})
		return
	}
	writeError(w, &problem{http.StatusNotFound, "HTTPNotFound", "The resource could not be found."})
}

// versions answers like Heat's root: with 300, because there is a choice of one.
func (s *server) versions(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, http.StatusMultipleChoices, map[string]any{"versions": []any{map[string]any{
		"id": "v1.0", "status": "CURRENT", "links": []link{{HRef: s.base(r) + "/v1/", Rel: "self"}},
	}}})
}
