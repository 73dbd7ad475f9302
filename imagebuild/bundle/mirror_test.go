package bundle_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"

	"slipway.build/slipway/imagebuild/bundle"
	"slipway.build/slipway/imagebuild/bundle/remote"
	"slipway.build/slipway/imagebuild/layout/layouttest"
	"slipway.build/slipway/imagebuild/lock"
	"slipway.build/slipway/imagebuild/trust"
)

// ours is go-containerregistry's registry with what a test puts before it.
func ours(t *testing.T, before func(http.Handler) http.Handler) string {
	t.Helper()
	var handler http.Handler = registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true))
	if before != nil {
		handler = before(handler)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// debian starts Debian's docker-registry with its storage in a directory.
func debian(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	listener.Close()
	dir := t.TempDir()
	config := filepath.Join(dir, "config.yml")
	text := fmt.Sprintf("version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {filesystem: {rootdirectory: %q}}\nhttp: {addr: %q}\n", filepath.Join(dir, "data"), addr)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "docker-registry", "serve", config)
	var said strings.Builder
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v: make test-deps installs docker-registry", err)
	}
	t.Cleanup(func() { cancel(); _ = cmd.Wait() })
	deadline := time.Now().Add(time.Minute)
	for {
		resp, err := http.Get("http://" + addr + "/v2/")
		if err == nil {
			resp.Body.Close()
			return addr
		}
		if time.Now().After(deadline) {
			t.Fatalf("docker-registry does not answer: %s", said.String())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func to(t *testing.T, addr string) bundle.ToRegistry {
	t.Helper()
	r, err := remote.New("http://" + addr + "/site")
	if err != nil {
		t.Fatal(err)
	}
	r.Push, r.Backoff, r.Chunk = true, time.Millisecond, 4096
	t.Cleanup(r.Close)
	return bundle.ToRegistry{Registry: r}
}

// back mirrors from a registry into a layout and proves it.
func back(t *testing.T, f *layouttest.Fixture, addr string) *trust.Report {
	t.Helper()
	r, err := remote.New(addr + "/site")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	l, err := lock.Parse("lock", f.Text)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := bundle.Pack(l.Number, trust.Carried{Lock: f.Text, Signature: f.Signature, Keys: f.Keys})
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "layout")
	for again := range 2 { // the second time it is all there
		m, err := bundle.Mirror(t.Context(), bundle.Join(bundle.FromRegistry{Registry: r, Lock: l}, signed), &bundle.ToLayout{Dir: dir}, bundle.MirrorOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if (m.Named == 0) != (again > 0) || (m.Copied == 0) != (again > 0) {
			t.Errorf("time %d to a layout: %+v", again+1, m)
		}
	}
	return prove(t, dir, f.Keys)
}

func TestAMirrorHasEverythingAndASecondOneCopiesNothing(t *testing.T) {
	for name, start := range map[string]func(*testing.T) string{
		"go-containerregistry": func(t *testing.T) string { return ours(t, nil) },
		"docker-registry":      debian,
	} {
		t.Run(name, func(t *testing.T) {
			f := layouttest.New(t)
			addr := start(t)
			m, err := bundle.Mirror(t.Context(), source(t, f), to(t, addr), bundle.MirrorOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if m.Copied == 0 || len(m.Sparse) != 0 || m.Copied+m.Shared < m.Blobs {
				t.Errorf("%+v", m)
			}
			again, err := bundle.Mirror(t.Context(), source(t, f), to(t, addr), bundle.MirrorOptions{})
			if err != nil || again.Copied != 0 || again.Moved != 0 || again.Named != 0 {
				t.Errorf("the second time: %+v, %v", again, err)
			}
			if r := back(t, f, addr); !r.Proved() || r.Images != 4 || len(r.Attached) != 9 || len(r.Absent) != 0 {
				t.Errorf("what came back: %+v", r)
			}
		})
	}
}

// flaky fails four of thirteen requests, each in one of the ways in which registries do.
type flaky struct {
	http.Handler
	n        atomic.Int64
	mu       sync.Mutex
	asked    map[string]time.Time // when a path was refused with Retry-After
	tooEarly atomic.Int64
}

func (f *flaky) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/v2/" {
		f.Handler.ServeHTTP(w, r)
		return
	}
	switch n := f.n.Add(1); n % 13 {
	case 2:
		http.Error(w, "overloaded", http.StatusServiceUnavailable)
	case 5:
		if n > 40 { // three waits of a second are enough
			http.Error(w, "slow down", http.StatusTooManyRequests)
			return
		}
		f.mu.Lock()
		f.asked[r.Method+r.URL.Path] = time.Now()
		f.mu.Unlock()
		w.Header().Set("Retry-After", "1")
		http.Error(w, "slow down", http.StatusTooManyRequests)
	case 8: // the request is carried out, and the answer is lost
		f.Handler.ServeHTTP(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	case 11: // half of the body arrives
		_, _ = io.CopyN(io.Discard, r.Body, r.ContentLength/2)
		panic(http.ErrAbortHandler)
	default:
		f.mu.Lock()
		if at, ok := f.asked[r.Method+r.URL.Path]; ok && time.Since(at) < 900*time.Millisecond {
			f.tooEarly.Add(1)
		}
		delete(f.asked, r.Method+r.URL.Path)
		f.mu.Unlock()
		f.Handler.ServeHTTP(w, r)
	}
}

func TestAMirrorOutlivesARegistryThatFails(t *testing.T) {
	f := layouttest.New(t)
	faults := &flaky{asked: map[string]time.Time{}}
	addr := ours(t, func(h http.Handler) http.Handler { faults.Handler = h; return faults })
	target := to(t, addr)
	target.Attempts = 20
	m, err := bundle.Mirror(t.Context(), source(t, f), target, bundle.MirrorOptions{Parallel: 1})
	if err != nil {
		t.Fatal(err)
	}
	if target.Retries.Load() == 0 || faults.tooEarly.Load() != 0 {
		t.Errorf("%d retries, %d before Retry-After was over: %+v", target.Retries.Load(), faults.tooEarly.Load(), m)
	}
	faults.n.Store(-1 << 40) // no further faults for those who come back
	if r := back(t, f, addr); !r.Proved() || r.Images != 4 {
		t.Errorf("what came back: %+v", r)
	}
}

// counting counts the bytes of blobs that are uploaded, and stops everything after a number of uploads.
type counting struct {
	http.Handler
	uploads atomic.Int64
	stopAt  int64
	stopped chan struct{}
}

func (c *counting) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/blobs/uploads/") {
		if c.uploads.Add(1) == c.stopAt {
			close(c.stopped)
			<-r.Context().Done() // until the client is killed
			return
		}
	}
	c.Handler.ServeHTTP(w, r)
}

func TestAKilledMirrorGoesOnWithTheRest(t *testing.T) {
	f := layouttest.New(t)
	c := &counting{stopAt: 6, stopped: make(chan struct{})}
	addr := ours(t, func(h http.Handler) http.Handler { c.Handler = h; return c })
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "SLIPWAY_TEST_MIRROR="+f.Dir, "SLIPWAY_TEST_TO="+addr)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-c.stopped
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	c.stopAt = -1
	before := c.uploads.Load() - 1 // that were answered
	m, err := bundle.Mirror(t.Context(), source(t, f), to(t, addr), bundle.MirrorOptions{Parallel: 1})
	if err != nil {
		t.Fatal(err)
	}
	whole, err := bundle.Mirror(t.Context(), source(t, f), to(t, ours(t, nil)), bundle.MirrorOptions{Parallel: 1})
	if err != nil {
		t.Fatal(err)
	}
	if before != 5 || m.Copied > whole.Copied-int(before)+1 {
		t.Errorf("%d blobs were there, and of %d objects %d were copied", before, whole.Copied, m.Copied)
	}
	if r := back(t, f, addr); !r.Proved() || r.Images != 4 {
		t.Errorf("what came back: %+v", r)
	}
}

// lying offers every blob with another digest or other bytes than asked for.
func TestARegistryThatLiesIsFound(t *testing.T) {
	f := layouttest.New(t)
	layer := f.Lock.Images[1].Platforms[0].Layers[0]
	var lie atomic.Bool
	addr := ours(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if lie.Load() && r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, layer.Digest) {
				w.Header().Set("Content-Length", fmt.Sprint(layer.Size))
				_, _ = w.Write(make([]byte, layer.Size))
				return
			}
			if lie.Load() && r.Method == http.MethodHead {
				w.Header().Set("Docker-Content-Digest", "sha256:"+strings.Repeat("0", 64))
				return
			}
			h.ServeHTTP(w, r)
		})
	})
	if _, err := bundle.Mirror(t.Context(), source(t, f), to(t, addr), bundle.MirrorOptions{}); err != nil {
		t.Fatal(err)
	}
	lie.Store(true)
	if _, err := bundle.Mirror(t.Context(), source(t, f), to(t, addr), bundle.MirrorOptions{}); err == nil || !strings.Contains(err.Error(), "the registry offers sha256:000") {
		t.Errorf("as a target: %v", err)
	}
	r, err := remote.New(addr + "/site")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	dir := t.TempDir()
	_, err = bundle.Mirror(t.Context(), bundle.FromRegistry{Registry: r, Lock: f.Lock}, &bundle.ToLayout{Dir: dir}, bundle.MirrorOptions{})
	if err == nil || !strings.Contains(err.Error(), "expected digest "+layer.Digest) {
		t.Errorf("as a source: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "index.json")); err == nil {
		t.Error("a layout with a wrong blob got its index")
	}
}
