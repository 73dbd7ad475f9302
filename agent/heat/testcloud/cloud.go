package testcloud

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"
)

// Names in the cloud.
const (
	Project  = "f00dfeed"
	Region   = "RegionOne"
	Stack    = "k8s-abc/6d0c2c5e-1f4e-4c07-9d3a-7b3f5e1c2d3a"
	Server   = "kube-master"
	Queue    = "queue-1"
	serverID = "user-of-the-server"
)

// Calls that can be made to fail.
const (
	Token      = "token"       // POST /v3/auth/tokens
	Metadata   = "metadata"    // GET …/metadata
	Signal     = "signal"      // POST …/signal
	CFN        = "cfn"         // DescribeStackResource
	CFNSignal  = "cfn-signal"  // POST /v1/signal/…
	SwiftHead  = "swift-head"  // HEAD and …
	SwiftGet   = "swift-get"   // GET of the metadata's temporary URL
	SwiftPut   = "swift-put"   // PUT of a signal's
	ZaqarList  = "zaqar-list"  // GET, …
	ZaqarClear = "zaqar-clear" // DELETE and …
	ZaqarPost  = "zaqar-post"  // POST of messages
)

// Cloud is all services behind one address.
type Cloud struct {
	URL string

	t      testing.TB
	server *httptest.Server

	mu          sync.Mutex
	skew        time.Duration
	users       map[string]string // id to password
	tokens      map[string]string // token to user
	issued      int
	faults      map[string][]int
	calls       map[string]int
	document    map[string]any // of the server, without deployments
	deployments []*deployment
	lazy        int // signals to accept and forget
	swift       map[string]object
	queues      map[string][]message
	bumped      chan struct{}
}

// New starts a cloud that ends with the test.
func New(t testing.TB) *Cloud {
	t.Helper()
	c := &Cloud{
		t: t, users: map[string]string{serverID: "server-password"}, tokens: map[string]string{},
		faults: map[string][]int{}, calls: map[string]int{}, document: map[string]any{},
		swift: map[string]object{}, queues: map[string][]message{}, bumped: make(chan struct{}),
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /identity/v3/auth/tokens", c.authenticate)
	mux.HandleFunc("GET /identity/{$}", c.versions)
	mux.HandleFunc("GET /identity/v3/{$}", c.version3)
	mux.HandleFunc("GET /heat/v1/{project}/stacks/{stack}/{id}/resources/{resource}/metadata", c.metadata)
	mux.HandleFunc("POST /heat/v1/{project}/stacks/{stack}/{id}/resources/{resource}/signal", c.signal)
	mux.HandleFunc("GET /cfn/v1/{$}", c.describe)
	mux.HandleFunc("POST /cfn/v1/signal/{arn...}", c.cfnSignal)
	mux.HandleFunc("/swift/", c.object)
	mux.HandleFunc("/zaqar/v2/queues/{queue}/messages", c.messages)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("unexpected call %s %s", r.Method, r.URL)
		w.WriteHeader(http.StatusNotFound)
	})
	c.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", c.now().UTC().Format(http.TimeFormat))
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(c.server.Close)
	c.URL = c.server.URL
	return c
}

// Fail has the next calls of a kind answered with these statuses; 0 breaks the connection.
func (c *Cloud) Fail(kind string, statuses ...int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults[kind] = append(c.faults[kind], statuses...)
}

// Heal forgets the failures of a kind that have not happened yet.
func (c *Cloud) Heal(kind string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.faults, kind)
}

// Left says how many failures of a kind have not happened yet.
func (c *Cloud) Left(kind string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.faults[kind])
}

// Calls counts the calls of a kind.
func (c *Cloud) Calls(kind string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls[kind]
}

// SkewClock sets how far the cloud's clock is ahead of this machine's.
func (c *Cloud) SkewClock(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.skew = by
}

func (c *Cloud) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.skew)
}

// Await waits until something that holds of the cloud is so; every change asks again.
func (c *Cloud) Await(what string, holds func() bool) {
	c.t.Helper()
	deadline := time.After(4 * time.Minute)
	for {
		c.mu.Lock()
		bumped := c.bumped
		c.mu.Unlock()
		if holds() {
			return
		}
		select {
		case <-bumped:
		case <-deadline:
			c.t.Fatalf("in vain waited for: %s", what)
		}
	}
}

// bump wakes Await. The caller holds mu.
func (c *Cloud) bump() {
	close(c.bumped)
	c.bumped = make(chan struct{})
}

// enter counts a call and returns whether it is to go on; otherwise it is answered.
func (c *Cloud) enter(w http.ResponseWriter, kind string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls[kind]++
	c.bump()
	left := c.faults[kind]
	if len(left) == 0 {
		return true
	}
	c.faults[kind] = slices.Clone(left[1:])
	switch status := left[0]; {
	case status == 0:
		panic(http.ErrAbortHandler)
	case status == http.StatusOK:
		return true
	default:
		http.Error(w, `{"error":{"message":"scripted"}}`, status)
		return false
	}
}

// read reads a JSON body of at most Heat's limit.
func read(w http.ResponseWriter, r *http.Request, into any) bool {
	const maxJSONBodySize = 1048576
	raw, err := io.ReadAll(io.LimitReader(r.Body, maxJSONBodySize+1))
	switch {
	case err != nil:
		return false
	case len(raw) > maxJSONBodySize:
		http.Error(w, fmt.Sprintf("JSON body size (%d bytes) exceeds maximum allowed size", len(raw)), http.StatusBadRequest)
		return false
	case r.Header.Get("Content-Type") != "application/json":
		http.Error(w, "content type", http.StatusUnsupportedMediaType)
		return false
	}
	if err := json.Unmarshal(raw, into); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return false
	}
	return true
}

func write(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value)
}
