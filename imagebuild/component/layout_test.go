package component

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"slipway.build/slipway/imagebuild/layout"
)

// inodes maps every file beneath dir to its inode: a file that was written again has another.
func inodes(t *testing.T, dir string) map[string]uint64 {
	t.Helper()
	all := map[string]uint64{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		all[path] = info.Sys().(*syscall.Stat_t).Ino
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func refs(t *testing.T, dir string) map[string]string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	var index v1.IndexManifest
	if err := json.Unmarshal(b, &index); err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, m := range index.Manifests {
		all[m.Annotations[layout.RefName]] = m.Digest.String()
	}
	return all
}

func TestWriteLayout(t *testing.T) {
	f := newFixture(t)
	built := []Built{f.build()}
	dir := filepath.Join(t.TempDir(), "layout")
	if err := WriteLayout(dir, built); err != nil {
		t.Fatal(err)
	}
	before := inodes(t, dir)
	if len(before) != 6 { // oci-layout, index.json, index, manifest, config, layer
		t.Errorf("%d files: %v", len(before), before)
	}
	if got := refs(t, dir); got["slipway/hello:v1.2.3"] != built[0].Image.Index || len(got) != 1 {
		t.Errorf("references %v", got)
	}
	layer := built[0].Image.Platforms[0].Layers[0].Digest
	inLayout := filepath.Join(dir, "blobs", "sha256", layer[7:])
	if !sameFile(inLayout, built[0].blobs[layer]) {
		t.Error("the layer is not a hard link into the cache")
	}

	t.Run("again changes nothing", func(t *testing.T) {
		if err := WriteLayout(dir, built); err != nil {
			t.Fatal(err)
		}
		after := inodes(t, dir)
		for path, ino := range before {
			if after[path] != ino {
				t.Errorf("%s was written again", path)
			}
		}
		if len(after) != len(before) {
			t.Errorf("files: %v", after)
		}
	})
	t.Run("a damaged blob of its own is replaced", func(t *testing.T) {
		if err := os.Remove(inLayout); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(inLayout, []byte("damaged"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := WriteLayout(dir, built); err != nil {
			t.Fatal(err)
		}
		if !hasDigest(inLayout, layer) {
			t.Error("it is still damaged")
		}
	})
	t.Run("a blob damaged through the link is made again", func(t *testing.T) {
		if err := os.WriteFile(inLayout, []byte("damaged"), 0o644); err != nil {
			t.Fatal(err)
		}
		built := []Built{f.build()}
		if err := WriteLayout(dir, built); err != nil {
			t.Fatal(err)
		}
		if !hasDigest(inLayout, layer) {
			t.Error("it is still damaged")
		}
	})
	t.Run("another version is added, the first stays", func(t *testing.T) {
		f.recipe.Version = "v1.2.4"
		next := f.build()
		if err := WriteLayout(dir, []Built{next}); err != nil {
			t.Fatal(err)
		}
		got := refs(t, dir)
		if len(got) != 2 || got["slipway/hello:v1.2.4"] != next.Image.Index || got["slipway/hello:v1.2.3"] != built[0].Image.Index {
			t.Errorf("references %v", got)
		}
	})
	t.Run("a broken index is an error that names it", func(t *testing.T) {
		if err := os.WriteFile(filepath.Join(dir, "index.json"), []byte("{"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := WriteLayout(dir, built); err == nil || !strings.Contains(err.Error(), "index.json") {
			t.Errorf("error %v", err)
		}
	})
}

func TestALayoutOnAnotherFileSystemIsCopied(t *testing.T) {
	dir, err := os.MkdirTemp("/dev/shm", "slipt-component-")
	if err != nil {
		t.Skip("no second file system: ", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	f := newFixture(t)
	b := f.build()
	if err := WriteLayout(dir, []Built{b}); err != nil {
		t.Fatal(err)
	}
	layer := b.Image.Platforms[0].Layers[0].Digest
	if !hasDigest(filepath.Join(dir, "blobs", "sha256", layer[7:]), layer) {
		t.Error("the layer is not there")
	}
}

func TestExtract(t *testing.T) {
	f := newFixture(t)
	b := f.build()
	to := filepath.Join(t.TempDir(), "hello")
	if err := Extract([]Built{b}, "hello", to); err != nil {
		t.Fatal(err)
	}
	want := "sha256:" + b.Image.Platforms[0].Files[0].SHA256
	st, err := os.Stat(to)
	if err != nil || st.Mode() != 0o755 || !hasDigest(to, want) {
		t.Errorf("%v %v", st, err)
	}
	if err := Extract([]Built{b}, "other", to); err == nil {
		t.Error("an image that was not built was extracted")
	}
	from := b.binary()
	if err := os.WriteFile(from, []byte("damaged"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Extract([]Built{b}, "hello", to); err != nil {
		t.Errorf("a file that is right already: %v", err)
	}
	if err := os.Remove(to); err != nil {
		t.Fatal(err)
	}
	if err := Extract([]Built{b}, "hello", to); err == nil || !strings.Contains(err.Error(), "build again") {
		t.Errorf("a damaged binary: %v", err)
	}
}
