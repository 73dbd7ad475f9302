package remote

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// Registry is one registry, or what is beneath a path of one. Its methods may be called by several goroutines.
type Registry struct {
	// Attempts is how often one request is tried; 8 when 0.
	Attempts int
	// Backoff is how long to wait before the second attempt; it doubles up to 100 times as much, with jitter of a half. 200 ms when 0.
	Backoff time.Duration
	// Patience bounds what Retry-After can ask for; a minute when 0.
	Patience time.Duration
	// Chunk is how many bytes one request uploads; 8 MiB when 0.
	Chunk int
	// Push asks for the right to write when a registry wants to know.
	Push bool
	// Retries counts attempts after the first one, of all requests.
	Retries atomic.Int64

	host   name.Registry
	prefix string
	base   http.RoundTripper
	keys   authn.Keychain

	mu      sync.Mutex
	clients map[string]*http.Client // by repository
}

// New returns the registry at a location: "host[:port][/path]", with http:// or https:// in front where the protocol's
// default (https, but http for this machine) is not meant. Credentials come from docker's configuration.
func New(location string) (*Registry, error) {
	rest, plain := strings.CutPrefix(location, "http://")
	rest = strings.TrimPrefix(rest, "https://")
	host, prefix, _ := strings.Cut(strings.Trim(rest, "/"), "/")
	var options []name.Option
	if plain {
		options = append(options, name.Insecure)
	}
	if host == "" {
		return nil, fmt.Errorf("%q names no registry", location)
	}
	registry, err := name.NewRegistry(host, options...)
	if err != nil {
		return nil, fmt.Errorf("%q names no registry: %w", location, err)
	}
	if prefix != "" {
		if _, err := name.NewRepository(host + "/" + prefix); err != nil {
			return nil, fmt.Errorf("%q: %w", location, err)
		}
		prefix += "/"
	}
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.ResponseHeaderTimeout = 5 * time.Minute // a registry hashes what it got before it answers
	base.MaxIdleConnsPerHost = 16
	base.DisableCompression = true
	return &Registry{host: registry, prefix: prefix, base: base, keys: authn.DefaultKeychain, clients: map[string]*http.Client{}}, nil
}

// String names the registry and the path beneath it.
func (r *Registry) String() string {
	return strings.TrimSuffix(r.host.RegistryStr()+"/"+r.prefix, "/")
}

// client returns the client that has the rights for a repository; the handshake is done once.
func (r *Registry) client(ctx context.Context, repository string) (*http.Client, error) {
	r.mu.Lock()
	client := r.clients[repository]
	r.mu.Unlock()
	if client != nil {
		return client, nil
	}
	repo := r.host.Repo(r.prefix + repository)
	auth, err := authn.Resolve(ctx, r.keys, repo)
	if err != nil {
		return nil, fmt.Errorf("credentials for %s: %w", repo, err)
	}
	scope := transport.PullScope
	if r.Push {
		scope = transport.PushScope
	}
	trip, err := transport.NewWithContext(ctx, r.host, auth, r.base, []string{repo.Scope(scope)})
	if err != nil {
		return nil, err
	}
	client = &http.Client{Transport: trip}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clients[repository] = client
	return client, nil
}

// url returns the address of something of a repository.
func (r *Registry) url(repository string, rest string) *url.URL {
	return &url.URL{Scheme: r.host.Scheme(), Host: r.host.RegistryStr(), Path: "/v2/" + r.prefix + repository + "/" + rest}
}

// Close lets go of idle connections.
func (r *Registry) Close() {
	if t, ok := r.base.(*http.Transport); ok {
		t.CloseIdleConnections()
	}
}
