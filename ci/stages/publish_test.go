package stages

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	registry "github.com/google/go-containerregistry/pkg/registry"

	"slipway.build/slipway/ci/pipeline"
	"slipway.build/slipway/ci/report"
	"slipway.build/slipway/imagebuild/component"
	"slipway.build/slipway/imagebuild/layout"
	"slipway.build/slipway/imagebuild/trust"
)

// small is a pipeline that builds the smallest image, and publishes it.
func small(t *testing.T, c Config, more ...pipeline.Stage) *pipeline.Graph {
	t.Helper()
	c = smallest(t, c)
	all := append([]pipeline.Stage{c.images(), c.lock(), c.gate(), c.sign()}, more...)
	g, err := pipeline.NewGraph(append(all, c.publish(all))...)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// smallest are the options of a pipeline that builds pause in a clone of its own.
func smallest(t *testing.T, c Config) Config {
	t.Helper()
	if testing.Short() {
		t.Skip("compiles an image with the locked toolchain; not in short mode")
	}
	c.Root, c.Images = clone(t), []string{"pause"}
	if c.Keys == "" {
		c.Keys = t.TempDir()
	}
	c, err := c.complete()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// clone has what building pause needs of the repository, and a lock of it for all platforms.
func clone(t *testing.T) string {
	t.Helper()
	imagebuild, err := filepath.Abs("../../imagebuild")
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	if err := os.Symlink(imagebuild, filepath.Join(root, "imagebuild")); err != nil {
		t.Fatal(err)
	}
	built, err := component.Build(t.Context(), component.Options{
		Sources: filepath.Join(imagebuild, "component", "sources"), Names: []string{"pause"}, Platforms: component.Platforms(), Forms: component.Forms(),
	})
	if err != nil {
		t.Fatal(err)
	}
	l, err := component.Compute(built)
	if err != nil {
		t.Fatal(err)
	}
	component.Issue(nil, l, time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC), component.LockLife)
	if err := component.WriteLock(filepath.Join(root, "images.yaml"), l); err != nil {
		t.Fatal(err)
	}
	return root
}

func ran(t *testing.T, g *pipeline.Graph, cache string) map[string]pipeline.StageResult {
	t.Helper()
	r, err := g.Run(t.Context(), pipeline.Options{Cache: cache})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]pipeline.StageResult{}
	for _, s := range r.Stages {
		all[s.Name] = s
	}
	return all
}

func TestWhatHeldIsPublishedWithItsSignedLock(t *testing.T) {
	cache, keys, dir := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "out")
	all := ran(t, small(t, Config{Publish: "oci:" + dir, Keys: keys}), cache)
	for name, s := range all {
		if s.State != pipeline.Done {
			t.Fatalf("%s is %s: %s", name, s.State, s.Reason)
		}
	}
	var published report.Published
	publish := all["publish"]
	if ok, err := publish.Fact(report.PublishedFact, &published); !ok || err != nil || published.Where != "oci:"+dir || published.Blobs == 0 {
		t.Errorf("published %+v, %v", published, err)
	}
	content, err := layout.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	carried, err := trust.FindLock(content)
	if err != nil || carried == nil {
		t.Fatalf("the lock beside the images: %+v, %v", carried, err)
	}
	trusted, err := os.ReadFile(filepath.Join(keys, "local.pub"))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := trust.VerifyLock(carried.Lock, carried.Signature, trusted)
	if err != nil {
		t.Fatal(err)
	}
	r, err := trust.Verify(t.Context(), content, signed, trust.Options{})
	if err != nil || !r.Proved() || r.Images == 0 {
		t.Errorf("what was published: %+v, %v", r, err)
	}
	all = ran(t, small(t, Config{Publish: "oci:" + dir, Keys: keys}), cache)
	if all["sign"].State != pipeline.Cached || all["publish"].State != pipeline.Done {
		t.Errorf("again: %s, %s", all["sign"].State, all["publish"].State)
	}
}

func TestNothingIsPublishedUnlessAllHeld(t *testing.T) {
	failing := pipeline.Stage{Name: "e2e", Run: func(context.Context, *pipeline.Step) error { return errors.New("a test failed") }}
	unproven := pipeline.Stage{Name: "e2e", Run: func(_ context.Context, s *pipeline.Step) error { return s.Unproven("no root") }}
	cache := t.TempDir()
	for _, more := range []pipeline.Stage{failing, unproven} {
		dir := filepath.Join(t.TempDir(), "out")
		all := ran(t, small(t, Config{Publish: "oci:" + dir, Keys: t.TempDir()}, more), cache)
		if publish := all["publish"]; publish.State != pipeline.Blocked || publish.Root != "e2e" {
			t.Errorf("publish is %s because of %q", publish.State, publish.Root)
		}
		if _, err := os.Stat(dir); err == nil {
			t.Error("something was published")
		}
	}
}

func TestARegistryThatBreaksOffShowsNoNames(t *testing.T) {
	store := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	var mu sync.Mutex
	var names []string
	refuse := true
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		repository, name, manifest := strings.Cut(r.URL.Path, "/manifests/")
		if r.Method == http.MethodPut && manifest {
			mu.Lock()
			stop := refuse
			if !strings.HasPrefix(name, "sha256:") {
				names = append(names, repository)
			}
			mu.Unlock()
			if stop {
				http.Error(w, "not allowed", http.StatusForbidden)
				return
			}
		}
		store.ServeHTTP(w, r)
	}))
	defer server.Close()
	cache, c := t.TempDir(), Config{All: true, Publish: server.URL + "/released", Keys: t.TempDir()}
	if got := ran(t, small(t, c), cache)["publish"]; got.State != pipeline.Failed || !strings.Contains(got.Reason, "publish images to "+c.Publish) || len(names) != 0 {
		t.Errorf("publish is %s (%s), names %v", got.State, got.Reason, names)
	}
	mu.Lock()
	refuse = false
	mu.Unlock()
	got := ran(t, small(t, c), cache)["publish"]
	if got.State != pipeline.Done || len(names) < 2 || names[len(names)-1] != "/v2/released/slipway/lock" {
		t.Errorf("publish is %s (%s), names %v", got.State, got.Reason, names)
	}
	empty := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer empty.Close()
	c.All, c.Publish = false, empty.URL+"/released" // this registry wants everything that an index names
	if got := ran(t, small(t, c), cache)["publish"]; got.State != pipeline.Failed || !strings.Contains(got.Reason, "build with --all") {
		t.Errorf("some platforms only: publish is %s (%s)", got.State, got.Reason)
	}
}

func TestATargetThatCannotBeIsSaidBeforeAnythingIsBuilt(t *testing.T) {
	for _, to := range []string{"oci:", "http://", "two words"} {
		if _, err := New(Config{Root: "/somewhere", Keys: "keys", Publish: to}); err == nil || !strings.Contains(err.Error(), "publish to") {
			t.Errorf("%q: %v", to, err)
		}
	}
	if _, err := New(Config{Root: "relative", Keys: "keys"}); err == nil {
		t.Error("a relative path was taken")
	}
	g, err := New(Config{Root: "/somewhere", Keys: "keys", Publish: "oci:out"})
	if err != nil {
		t.Fatal(err)
	}
	if names := g.Names(); names[len(names)-1] != "publish" {
		t.Errorf("publication is not the last thing: %v", names)
	}
}
