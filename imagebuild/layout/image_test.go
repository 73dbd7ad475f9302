package layout_test

import (
	"archive/tar"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/imagebuild/layout"
	"slipway.build/slipway/imagebuild/layout/layouttest"
)

// hash is a digest as go-containerregistry has it.
func hash(t *testing.T, digest string) v1.Hash {
	t.Helper()
	h, err := v1.NewHash(digest)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// tarred is the archive of a directory, as tar makes it.
func tarred(t *testing.T, dir string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "layout.tar")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := tar.NewWriter(f)
	if err := w.AddFS(os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestAnImageIsReadFromADirectoryAndAnArchiveAlike(t *testing.T) {
	f := layouttest.New(t)
	p := f.Lock.ByName("b")[0].Platforms[0]
	for kind, path := range map[string]string{"directory": f.Dir, "archive": tarred(t, f.Dir)} {
		t.Run(kind, func(t *testing.T) {
			l, err := layout.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			if l.Kind() != kind || !layout.Is(path) {
				t.Errorf("kind %s; meant as a layout: %v", l.Kind(), layout.Is(path))
			}
			for _, manifest := range []string{p.Manifest, p.Gzip.Manifest} {
				image, err := l.Image(v1.Descriptor{Digest: hash(t, manifest)})
				if err != nil {
					t.Fatal(err)
				}
				if manifest == p.Gzip.Manifest { // validate reads no zstd
					if err := validate.Image(image); err != nil {
						t.Error(err)
					}
				}
				layers, err := image.Layers()
				if err != nil || len(layers) != 2 {
					t.Fatalf("%d layers, %v", len(layers), err)
				}
				r, err := layers[0].Uncompressed()
				if err != nil {
					t.Fatal(err)
				}
				plain, err := io.ReadAll(r)
				if err != nil || layout.Digest(plain) != p.Layers[0].DiffID {
					t.Errorf("layer 1 unpacks to %s, %v", layout.Digest(plain), err)
				}
				if err := r.Close(); err != nil {
					t.Error(err)
				}
			}
			if _, there := l.File(p.Manifest); there != (kind == "directory") {
				t.Errorf("a blob is a file of its own: %v", there)
			}
			image, err := l.Image(v1.Descriptor{Digest: hash(t, p.Manifest)})
			if err != nil {
				t.Fatal(err)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			if r, err := firstLayer(image); err == nil {
				if _, err := r.Read(make([]byte, 1)); err == nil {
					t.Error("a layer can be read after the layout was closed")
				}
			}
		})
	}
}

func firstLayer(image v1.Image) (io.ReadCloser, error) {
	layers, err := image.Layers()
	if err != nil {
		return nil, err
	}
	return layers[0].Compressed()
}

func TestImagesThatAreNotWhatTheySayAreRefused(t *testing.T) {
	for what, c := range map[string]struct {
		change func(t *testing.T, f *layouttest.Fixture) v1.Descriptor
		want   string
	}{
		"a manifest with a flipped bit": {func(t *testing.T, f *layouttest.Fixture) v1.Descriptor {
			f.Flip(t, manifest(f))
			return v1.Descriptor{Digest: hash(t, manifest(f))}
		}, "expected digest sha256:"},
		"a manifest that is missing": {func(t *testing.T, _ *layouttest.Fixture) v1.Descriptor {
			return v1.Descriptor{Digest: hash(t, layout.Digest(nil))}
		}, "is not there"},
		"a manifest of another size": {func(t *testing.T, f *layouttest.Fixture) v1.Descriptor {
			return v1.Descriptor{Digest: hash(t, manifest(f)), Size: 7}
		}, "and should have 7"},
		"an index": {func(t *testing.T, f *layouttest.Fixture) v1.Descriptor {
			return v1.Descriptor{Digest: hash(t, f.Lock.Images[0].Index), MediaType: types.OCIManifestSchema1}
		}, "which is no image"},
		"a configuration with a flipped bit": {func(t *testing.T, f *layouttest.Fixture) v1.Descriptor {
			f.Flip(t, f.Lock.Images[0].Platforms[0].Config)
			return v1.Descriptor{Digest: hash(t, manifest(f))}
		}, "expected digest sha256:"},
		"a layer that is cut off": {func(t *testing.T, f *layouttest.Fixture) v1.Descriptor {
			if err := os.Truncate(f.Blob(f.Lock.Images[0].Platforms[0].Gzip.Layers[0].Digest), 10); err != nil {
				t.Fatal(err)
			}
			return v1.Descriptor{Digest: hash(t, manifest(f))}
		}, "has 10 bytes and should have"},
		"a layer that is missing": {func(t *testing.T, f *layouttest.Fixture) v1.Descriptor {
			if err := os.Remove(f.Blob(f.Lock.Images[0].Platforms[0].Gzip.Layers[0].Digest)); err != nil {
				t.Fatal(err)
			}
			return v1.Descriptor{Digest: hash(t, manifest(f))}
		}, "is not there"},
		"a layer of an unknown type": {func(t *testing.T, f *layouttest.Fixture) v1.Descriptor {
			p := f.Lock.Images[0].Platforms[0]
			return f.JSON(t, v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1,
				Config: v1.Descriptor{MediaType: types.OCIConfigJSON, Digest: hash(t, p.Config)},
				Layers: []v1.Descriptor{{MediaType: "application/x-squashfs", Digest: hash(t, p.Layers[0].Digest), Size: p.Layers[0].Size}},
			}, types.OCIManifestSchema1)
		}, `layer 1 of 1 is of type "application/x-squashfs"`},
		"a layer whose name is a path": {func(t *testing.T, f *layouttest.Fixture) v1.Descriptor {
			return f.JSON(t, map[string]any{"schemaVersion": 2, "mediaType": types.OCIManifestSchema1, "config": map[string]any{"digest": "sha256:../../etc/passwd"}}, types.OCIManifestSchema1)
		}, "hex"},
	} {
		for _, kind := range []string{"directory", "archive"} {
			t.Run(what+" in a "+kind, func(t *testing.T) {
				f := layouttest.New(t)
				desc := c.change(t, f)
				path := f.Dir
				if kind == "archive" {
					path = tarred(t, f.Dir)
				}
				l, err := layout.Open(path)
				if err != nil {
					t.Fatal(err)
				}
				defer l.Close()
				image, err := l.Image(desc)
				if err == nil {
					_, err = image.ConfigFile()
				}
				if err == nil {
					_, err = firstLayer(image)
				}
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("got %v, want %q", err, c.want)
				}
			})
		}
	}
}

// manifest is the one of the first image in its gzip form.
func manifest(f *layouttest.Fixture) string { return f.Lock.Images[0].Platforms[0].Gzip.Manifest }

func TestFilesOfALayerAreNotTakenForALayout(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "x"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, tarred(t, dir), filepath.Join(dir, "x"), filepath.Join(dir, "nothing")} {
		if layout.Is(path) {
			t.Errorf("%s is meant as a layout", path)
		}
	}
	cut := tarred(t, layouttest.New(t).Dir)
	if err := os.Truncate(cut, 5000); err != nil {
		t.Fatal(err)
	}
	if !layout.Is(cut) {
		t.Error("an archive that is cut off is meant as a layout all the same")
	}
	if _, err := layout.Open(cut); !fault.IsTerminal(err) {
		t.Errorf("got %v", err)
	}
	compressed := filepath.Join(dir, "layout.tar.gz")
	if err := os.WriteFile(compressed, layouttest.Gzip(t, make([]byte, 1<<20)), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := layout.Open(compressed); err == nil || !strings.Contains(err.Error(), "decompressed first") {
		t.Errorf("got %v", err)
	}
}
