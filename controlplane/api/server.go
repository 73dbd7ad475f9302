package api

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"slipway.build/slipway/controlplane/cloud"
	"slipway.build/slipway/controlplane/identity"
	"slipway.build/slipway/controlplane/pki"
	"slipway.build/slipway/controlplane/store"
)

// Cloud answers what a request names and only the cloud knows; cloud.Driver is one. The errors
// for unknown names are cloud.ErrNotFound.
type Cloud interface {
	Keypair(ctx context.Context, project, name string) (string, error)
	Flavor(ctx context.Context, nameOrID string) (cloud.Flavor, error)
}

// Authorities finds or makes the authority of a cluster; pki.Authorities is one.
type Authorities interface {
	Ensure(ctx context.Context, cluster, clusterName string, purpose pki.Purpose) (*pki.Authority, error)
}

// Config is what the API needs; all but Log and Now must be set.
type Config struct {
	Store       *store.Store
	Cloud       Cloud
	Authorities Authorities
	Identity    identity.Authenticator
	// Kubernetes are the versions that clusters can be made of, in order; nil checks none.
	Kubernetes []string
	Log        *slog.Logger     // slog.Default when nil
	Now        func() time.Time // time.Now when nil
}

type server struct {
	Config
	mux *http.ServeMux
}

// handler answers a request, or returns the error to answer with.
type handler func(w http.ResponseWriter, r *http.Request) error

// New returns the API. It answers at /, /v1, /healthcheck and everything below /v1; as in
// Magnum, paths below / mean those below /v1.
func New(config Config) http.Handler {
	if config.Log == nil {
		config.Log = slog.Default()
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	s := &server{Config: config, mux: http.NewServeMux()}
	s.open("GET /{$}", s.versions)
	s.open("GET /v1", s.version1)
	s.mux.HandleFunc("GET /healthcheck", healthcheck)
	s.tenant("GET /v1/clusters", s.listClusters)
	s.tenant("GET /v1/clusters/detail", s.listClustersDetail)
	s.tenant("POST /v1/clusters", s.createCluster)
	s.tenant("GET /v1/clusters/{cluster}", s.showCluster)
	s.tenant("DELETE /v1/clusters/{cluster}", s.deleteCluster)
	s.tenant("GET /v1/clusters/{cluster}/nodegroups", s.listNodegroups)
	s.tenant("GET /v1/clusters/{cluster}/nodegroups/{nodegroup}", s.showNodegroup)
	s.tenant("GET /v1/clustertemplates", s.listTemplates)
	s.tenant("GET /v1/clustertemplates/detail", s.listTemplatesDetail)
	s.tenant("POST /v1/clustertemplates", s.createTemplate)
	s.tenant("GET /v1/clustertemplates/{template}", s.showTemplate)
	s.tenant("GET /v1/certificates/{cluster}", s.showCertificate)
	s.tenant("POST /v1/certificates", s.signCertificate)
	s.open("/", s.unknownPath)
	return s.outer(http.HandlerFunc(s.route))
}

// route normalizes the path and hands it to the mux: no trailing slash, and /v1 in front.
func (s *server) route(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimRight(r.URL.EscapedPath(), "/")
	switch {
	case path == "":
		path = "/"
	case path == "/v1" || strings.HasPrefix(path, "/v1/") || path == "/healthcheck":
	default:
		path = "/v1" + path
	}
	decoded, err := url.PathUnescape(path)
	if err != nil {
		WriteError(w, requestID(r.Context()), badRequest("The path cannot be read."))
		return
	}
	routed := new(http.Request)
	*routed = *r
	u := *r.URL
	u.Path, u.RawPath = decoded, path
	routed.URL = &u
	s.mux.ServeHTTP(w, routed)
}

// open registers a handler that needs no authentication.
func (s *server) open(pattern string, h handler) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { s.answer(w, r, h) })
}

// tenant registers a handler for authenticated callers.
func (s *server) tenant(pattern string, h handler) {
	refuse := func(w http.ResponseWriter, r *http.Request, status int, err error) {
		WriteError(w, requestID(r.Context()), &Error{Status: status, Detail: err.Error()})
	}
	s.mux.Handle(pattern, identity.Require(s.Identity, refuse, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.answer(w, r, h)
	})))
}

func (s *server) answer(w http.ResponseWriter, r *http.Request, h handler) {
	if err := h(w, r); err != nil {
		if status := statusOf(err); status >= http.StatusInternalServerError {
			s.Log.ErrorContext(r.Context(), "request failed", "request_id", requestID(r.Context()), "method", r.Method, "path", r.URL.Path, "error", err)
		}
		WriteError(w, requestID(r.Context()), err)
	}
}

// unknownPath answers 405 where another method would do, else 404.
func (s *server) unknownPath(w http.ResponseWriter, r *http.Request) error {
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete} {
		other := new(http.Request)
		*other = *r
		other.Method = method
		if _, pattern := s.mux.Handler(other); pattern != "/" && pattern != "" {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) == 0 {
		return notFound("The resource could not be found.")
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	return &Error{Status: http.StatusMethodNotAllowed, Detail: "The method " + shown(r.Method) + " is not allowed for this resource."}
}
