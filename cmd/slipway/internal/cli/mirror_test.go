package cli

import (
	"bytes"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"slipway.build/slipway/imagebuild/layout/layouttest"
	"slipway.build/slipway/imagebuild/trust"
)

// mirrored is a registry, with what a test puts before it, that the fixture was mirrored to, under the path site.
func mirrored(t *testing.T, f *layouttest.Fixture, before func(http.Handler) http.Handler) string {
	t.Helper()
	handler := registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true))
	if before != nil {
		handler = before(handler)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	place := server.URL + "/site"
	if code, said, errs := command(t, t.TempDir(), append([]string{"images", "mirror", f.Dir, place}, files(t, f)...)...); code != ExitOK {
		t.Fatalf("mirror to a registry: %d, %s%s", code, said, errs)
	}
	return place
}

func TestASiteTakesTheLockThatARegistryCarriesByItsNumber(t *testing.T) {
	f := layouttest.New(t)
	place := mirrored(t, f, nil)
	site := filepath.Join(t.TempDir(), "site")

	code, _, errs := command(t, t.TempDir(), "images", "mirror", place, site, "--lock-number", "7")
	if code != ExitFailed || !strings.Contains(errs, "--key-id "+f.Signer.ID()) {
		t.Fatalf("without a key: %d, %s", code, errs)
	}
	for range 2 { // the second time it is all there
		if code, said, errs := command(t, t.TempDir(), "images", "mirror", place, site, "--lock-number", "7", "--key-id", f.Signer.ID()); code != ExitOK || !strings.Contains(said, "slipway/a:v1.0.0") {
			t.Fatalf("by number: %d, %s%s", code, said, errs)
		}
	}
	if code, said, errs := netless(t, "images", "verify", "--offline", site, "--complete", "--key-id", f.Signer.ID()); code != ExitOK {
		t.Errorf("verify: %d, %s%s", code, said, errs)
	}
}

func TestALockThatIsNotWhatWasAskedForIsRefused(t *testing.T) {
	f := layouttest.New(t)
	var flip []byte // a text in a blob to answer with another one in its place
	place := mirrored(t, f, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if flip == nil || !strings.Contains(r.URL.Path, "/blobs/") {
				h.ServeHTTP(w, r)
				return
			}
			answer := httptest.NewRecorder()
			h.ServeHTTP(answer, r)
			for key, values := range answer.Header() {
				w.Header()[key] = values
			}
			w.WriteHeader(answer.Code)
			_, _ = w.Write(bytes.ReplaceAll(answer.Body.Bytes(), flip, bytes.ToUpper(flip)))
		})
	})
	refused := func(want string, args ...string) {
		t.Helper()
		top := t.TempDir()
		code, said, errs := command(t, t.TempDir(), append([]string{"images", "mirror", place, filepath.Join(top, "site"), "--key-id", f.Signer.ID()}, args...)...)
		if code == ExitOK || !strings.Contains(errs, want) {
			t.Errorf("%v: %d, %s%s; want %q", args, code, said, errs, want)
		}
		if left, err := os.ReadDir(top); err != nil || len(left) != 0 {
			t.Errorf("%v: left %v, %v", args, left, err)
		}
	}
	refused("lock 9 at 127.0.0.1", "--lock-number", "9")
	refused("there is none", "--lock-number", "9")
	refused("lock-number", "--lock-number", "7", "--lock", "images.yaml")

	repository, err := name.NewRepository(strings.TrimPrefix(place, "http://") + "/" + trust.LockRepository)
	if err != nil {
		t.Fatal(err)
	}
	first, err := remote.Get(repository.Tag("7"))
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Tag(repository.Tag("8"), first); err != nil {
		t.Fatal(err)
	}
	refused("has lock 7 under the number 8", "--lock-number", "8")
	flip = []byte("linux/amd64")
	refused("expected digest sha256:", "--lock-number", "7")
}
