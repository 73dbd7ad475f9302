package release

import (
	"archive/zip"
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// proxy is a module proxy for the real go command; it refuses to list example.org/refused.
func proxy(t *testing.T) {
	t.Helper()
	module := func(path, version string) []byte {
		var out bytes.Buffer
		w := zip.NewWriter(&out)
		for name, text := range map[string]string{"go.mod": "module " + path + "\n", "a.go": "package a\n"} {
			f, err := w.Create(path + "@" + version + "/" + name)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.Write([]byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, file, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/@v/")
		version, kind := strings.TrimSuffix(file, filepath.Ext(file)), filepath.Ext(file)
		known := slices.Contains([]string{"v1.0.0", "v1.0.1", "v1.1.0"}, version)
		switch {
		case file == "list" && path == "example.org/listed":
			_, _ = w.Write([]byte("v1.0.1\nv1.0.0\nv1.1.0\n"))
		case file == "list":
			http.Error(w, "no list of this one", http.StatusForbidden)
		case !known:
			http.NotFound(w, r)
		case kind == ".info":
			_, _ = w.Write([]byte(`{"Version":"` + version + `"}`))
		case kind == ".mod":
			_, _ = w.Write([]byte("module " + path + "\n"))
		case kind == ".zip":
			_, _ = w.Write(module(path, version))
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	cache := t.TempDir()
	t.Setenv("GOPROXY", server.URL)
	t.Setenv("GONOSUMDB", "example.org")
	t.Setenv("GOMODCACHE", cache)
	t.Cleanup(func() { // the go command leaves directories that cannot be written
		_ = filepath.WalkDir(cache, func(name string, d os.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				_ = os.Chmod(name, 0o755)
			}
			return nil
		})
	})
}

func TestTheGoCommandIsAskedForVersionsAndSums(t *testing.T) {
	proxy(t)
	g := GoModules{}
	versions, err := g.Versions(t.Context(), "example.org/listed")
	if err != nil || !slices.Equal(versions, []string{"v1.0.0", "v1.0.1", "v1.1.0"}) {
		t.Errorf("%v, %v", versions, err)
	}
	if versions, err := g.Versions(t.Context(), "example.org/refused"); err == nil || !strings.Contains(err.Error(), "403") || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v, %v", versions, err)
	}
	sum, err := g.Sum(t.Context(), "example.org/refused", "v1.0.1")
	if err != nil || !strings.HasPrefix(sum, "h1:") {
		t.Errorf("a version of a module that is not listed: %q, %v", sum, err)
	}
	if sum, err := g.Sum(t.Context(), "example.org/listed", "v1.0.2"); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("a version that is not there: %q, %v", sum, err)
	}
	if _, err := (GoModules{Go: "no-such-go-command"}).Versions(t.Context(), "example.org/listed"); err == nil {
		t.Error("without a go command")
	}
}
