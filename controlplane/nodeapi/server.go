package nodeapi

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"slipway.build/slipway/components"
	"slipway.build/slipway/controlplane/actions"
	"slipway.build/slipway/controlplane/pki"
	"slipway.build/slipway/controlplane/store"
)

// Profiles decides what is signed for a node. Its error is components.ErrPurpose for a purpose
// that does not exist or that the node's role may not have.
type Profiles interface {
	Profile(ctx context.Context, node *store.Node, purpose string) (components.Profile, error)
}

// Secrets reads the values of a cluster's secrets. Its error is store.ErrNotFound for a secret
// that does not exist.
type Secrets interface {
	Secret(ctx context.Context, cluster, name, version string) ([]byte, error)
}

// Authorities finds a cluster's authority; pki.Authorities is one.
type Authorities interface {
	Get(ctx context.Context, cluster string, purpose pki.Purpose) (*pki.Authority, error)
}

// Config is what the node API needs; all but Log and Now must be set.
type Config struct {
	Store       *store.Store
	System      *pki.SystemPKI
	Authorities Authorities
	Profiles    Profiles
	Locks       Locks
	Secrets     Secrets
	Actions     *actions.Desk
	// CertificateLife is the life of the certificates of plans; that of the profile when zero.
	CertificateLife time.Duration
	Log             *slog.Logger     // slog.Default when nil
	Now             func() time.Time // time.Now when nil
}

// Server is the node API. Serve it with the TLS configuration that TLSConfig returns: it
// believes the peer certificates that TLS has verified.
type Server struct {
	Config
	mux      *http.ServeMux
	renewals *limiter // by peer and node
	peers    *limiter // by peer
	refusals *limiter // by node
	draining chan struct{}
	drain    sync.Once
}

// New returns the node API.
func New(config Config) *Server {
	if config.Log == nil {
		config.Log = slog.Default()
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	s := &Server{
		Config: config, mux: http.NewServeMux(), draining: make(chan struct{}),
		renewals: newLimiter(maxRenewals, time.Minute, config.Now), peers: newLimiter(maxPeerRenewals, time.Minute, config.Now),
		refusals: newLimiter(maxRefusals, time.Minute, config.Now),
	}
	s.handle("POST /node/v1/join", s.join)
	s.handle("POST /node/v1/renew", s.renew)
	s.node("GET /node/v1/plan", s.plan)
	s.node("POST /node/v1/signals", s.signals)
	s.node("POST /node/v1/certificates", s.certificates)
	s.node("GET /node/v1/secrets/{secret}", s.secret)
	s.node("POST /node/v1/actions/{action}/archive", s.archive)
	s.handle("/", func(http.ResponseWriter, *http.Request) error {
		return refuse(http.StatusNotFound, codeNotFound, "the node API has no such call")
	})
	return s
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Drain ends the long polls that are waiting, so that a server can shut down: nodes ask again,
// as after any answer. It may be called more than once.
func (s *Server) Drain() { s.drain.Do(func() { close(s.draining) }) }

// handle registers a call that anybody may make.
func (s *Server) handle(pattern string, h func(http.ResponseWriter, *http.Request) error) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		defer s.recoverPanic(w, r)
		if err := h(w, r); err != nil {
			s.answerError(w, r, err)
		}
	})
}

// node registers a call for joined nodes.
func (s *Server) node(pattern string, h func(http.ResponseWriter, *http.Request, *store.Node) error) {
	s.handle(pattern, func(w http.ResponseWriter, r *http.Request) error {
		node, err := s.caller(r)
		if err != nil {
			return err
		}
		return h(w, r, node)
	})
}

// caller returns the node whose certificate came with the connection.
func (s *Server) caller(r *http.Request) (*store.Node, error) {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return nil, refuse(http.StatusUnauthorized, codeNotJoined, "this call needs the node's client certificate; join first")
	}
	// A connection may outlive the certificate that it was made with.
	leaf := r.TLS.VerifiedChains[0][0]
	if s.Now().After(leaf.NotAfter) {
		return nil, later(http.StatusUnauthorized, codeExpired, "the certificate of this connection expired at %s; renew it and connect anew", leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	id, err := pki.NodeOf(leaf)
	if err != nil {
		return nil, refuse(http.StatusForbidden, codeUnknownNode, "%v", err)
	}
	node, err := s.Store.Node(r.Context(), id)
	if store.IsNotFound(err) || (err == nil && node.State == store.NodeRemoved) {
		return nil, refuse(http.StatusForbidden, codeUnknownNode, "node %s is not known here, or no longer", id)
	}
	return node, err
}

func (s *Server) answerError(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // the node has hung up
	}
	p := problemOf(err)
	level := slog.LevelWarn
	if p.status >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	s.Log.Log(r.Context(), level, "node API call refused", "method", r.Method, "path", r.URL.Path, "peer", r.RemoteAddr, "status", p.status, "error", err)
	if p.body.Code == codeExpired {
		w.Header().Set("Connection", "close")
	}
	writeJSON(w, p.status, p.body)
}

func (s *Server) recoverPanic(w http.ResponseWriter, r *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	if p == http.ErrAbortHandler {
		panic(p)
	}
	s.Log.ErrorContext(r.Context(), "node API call panicked", "method", r.Method, "path", r.URL.Path, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
	writeJSON(w, http.StatusInternalServerError, problemOf(nil).body)
}
