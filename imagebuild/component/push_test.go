package component

import (
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// A client that knows nothing of zstd takes the first manifest of its platform.
func TestWhatIsPushedIsAnImageForEveryClient(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	reg, err := name.NewRegistry(strings.TrimPrefix(server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(file, []byte(strings.Repeat("program", 50_000)), 0o755); err != nil {
		t.Fatal(err)
	}
	cache := t.TempDir()
	pack := func() Built {
		t.Helper()
		b, err := PackFiles(t.Context(), cache, Forms(), Files{Name: "two", Version: "v1.0.0", Platform: "linux/amd64", Paths: map[string]string{"usr/bin/program": file}})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	b := pack()
	for range 2 {
		if err := Push(t.Context(), reg, b); err != nil {
			t.Fatal(err)
		}
	}
	ref := reg.Repo("slipway/two").Tag("v1.0.0")
	img, err := remote.Image(ref, remote.WithPlatform(v1.Platform{OS: "linux", Architecture: "amd64"}))
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(img); err != nil {
		t.Error(err)
	}
	if d, err := img.Digest(); err != nil || d.String() != b.Image.Platforms[0].Gzip.Manifest {
		t.Errorf("a client without zstd gets %s: %v", d, err)
	}
	if again := pack(); !again.Cached || again.Image.Index != b.Image.Index {
		t.Error("the same files were packed again")
	}
	if err := os.WriteFile(file, []byte(strings.Repeat("Program", 50_000)), 0o755); err != nil {
		t.Fatal(err)
	}
	if changed := pack(); changed.Cached || changed.Image.Index == b.Image.Index {
		t.Error("a changed file of the same size was not seen")
	}
}
