package registry_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"slipway.build/slipway/imagebuild/bundle"
	"slipway.build/slipway/imagebuild/layout"
	"slipway.build/slipway/imagebuild/layout/layouttest"
	"slipway.build/slipway/imagebuild/registry"
)

// archived bundles a layout into one file, as `slipway images bundle` does.
func archived(t *testing.T, f *layouttest.Fixture) string {
	t.Helper()
	l, err := layout.Open(f.Dir)
	check(t, err)
	defer l.Close()
	file := filepath.Join(t.TempDir(), "bundle.tar")
	_, err = bundle.Create(t.Context(), file, bundle.Layout{Layout: l}, nil)
	check(t, err)
	return file
}

// served serves an archive, and returns the server and its address.
func served(t *testing.T, file string) (server *httptest.Server, host string) {
	t.Helper()
	l, err := layout.Open(file)
	check(t, err)
	server = httptest.NewServer(registry.NewArchive(l))
	t.Cleanup(func() {
		server.Close()
		check(t, l.Close())
	})
	return server, strings.TrimPrefix(server.URL, "http://")
}

// blobOf returns the bytes of a blob.
func blobOf(t *testing.T, f *layouttest.Fixture, digest string) []byte {
	t.Helper()
	data, err := os.ReadFile(f.Blob(digest))
	check(t, err)
	return data
}

func TestImagesOfAnArchiveArePulledByARealClient(t *testing.T) {
	f := layouttest.New(t)
	_, host := served(t, archived(t, f))
	for _, img := range f.Lock.Images {
		repository, err := name.NewRepository(host + "/" + img.Repository)
		check(t, err)
		index, err := remote.Index(repository.Tag(img.Version))
		check(t, err)
		if got, err := index.Digest(); err != nil || got.String() != img.Index {
			t.Errorf("%s: index %s, %v; want %s", img.Name, got, err, img.Index)
		}
		for _, p := range img.Platforms {
			image, err := remote.Image(repository.Digest(p.Gzip.Manifest))
			check(t, err)
			if err := validate.Image(image); err != nil { // reads every layer
				t.Errorf("%s %s: %v", img.Name, p.Platform, err)
			}
			zstd, err := remote.Image(repository.Digest(p.Manifest))
			check(t, err)
			for _, l := range p.Layers {
				if err := fetch(t, zstd, l.Digest); err != nil {
					t.Errorf("%s %s: layer %s: %v", img.Name, p.Platform, l.Digest, err)
				}
			}
		}
	}
}

func TestAnArchiveListsReferrersAsItsLayoutDoes(t *testing.T) {
	_, dir, image := published(t)
	_, host := served(t, archived(t, &layouttest.Fixture{Dir: dir}))
	repository, err := name.NewRepository(host + "/" + repository)
	check(t, err)
	attached, err := remote.Referrers(repository.Digest(image.Index.Digest()))
	check(t, err)
	list, err := attached.IndexManifest()
	check(t, err)
	if len(list.Manifests) != 4 {
		t.Errorf("%d referrers, want three of evidence and a signature: %v", len(list.Manifests), list.Manifests)
	}
	for _, d := range list.Manifests {
		if _, err := remote.Get(repository.Digest(d.Digest.String())); err != nil {
			t.Errorf("referrer %s: %v", d.ArtifactType, err)
		}
	}
}

// fetch reads a layer to its end; the client compares its digest.
func fetch(t *testing.T, image v1.Image, digest string) error {
	t.Helper()
	h, err := v1.NewHash(digest)
	check(t, err)
	l, err := image.LayerByDigest(h)
	check(t, err)
	r, err := l.Compressed()
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, r)
	return errors.Join(err, r.Close())
}

func TestABlobOfAnArchiveIsReadInRanges(t *testing.T) {
	f := layouttest.New(t)
	img := f.Lock.ByName("b")[0]
	layer := img.Platforms[0].Gzip.Layers[0]
	want := string(blobOf(t, f, layer.Digest))
	server, _ := served(t, archived(t, f))
	for _, tt := range []struct {
		name, ranges string
		status       int
		want         string
	}{
		{"whole", "", 200, want},
		{"the middle", "bytes=10-19", 206, want[10:20]},
		{"resumed", "bytes=50-", 206, want[50:]},
		{"the last bytes", "bytes=-7", 206, want[len(want)-7:]},
		{"not into the next entry of the archive", fmt.Sprintf("bytes=5-%d", 4*len(want)), 206, want[5:]},
		{"beyond the end", fmt.Sprintf("bytes=%d-", len(want)), 416, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), "GET", server.URL+"/v2/"+img.Repository+"/blobs/"+layer.Digest, nil)
			check(t, err)
			if tt.ranges != "" {
				req.Header.Set("Range", tt.ranges)
			}
			resp, err := server.Client().Do(req)
			check(t, err)
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			check(t, err)
			if resp.StatusCode != tt.status || tt.want != "" && string(body) != tt.want {
				t.Errorf("status %d and %d bytes, want %d and %d", resp.StatusCode, len(body), tt.status, len(tt.want))
			}
		})
	}
}

func TestWhatAnArchiveDoesNotHaveIsNotFound(t *testing.T) {
	server, _ := served(t, archived(t, layouttest.New(t)))
	absent := "sha256:" + strings.Repeat("0", 64)
	for _, tt := range []struct {
		path   string
		status int
		code   string
	}{
		{"slipway/a/blobs/" + absent, 404, "BLOB_UNKNOWN"},
		{"slipway/a/manifests/" + absent, 404, "MANIFEST_UNKNOWN"},
		{"slipway/a/manifests/v9", 404, "MANIFEST_UNKNOWN"},
		{"slipway/none/tags/list", 404, "NAME_UNKNOWN"},
		{"slipway/a/blobs/v1.0.0", 400, "DIGEST_INVALID"},
		{"slipway/a/blobs/sha256:..%2f..%2findex.json", 404, "NAME_INVALID"},
	} {
		resp, body := get(t, "GET", server.URL+"/v2/"+tt.path)
		if resp.StatusCode != tt.status || !strings.Contains(string(body), tt.code) {
			t.Errorf("%s: %d %s", tt.path, resp.StatusCode, body)
		}
	}
	if resp, body := get(t, "GET", server.URL+"/v2/slipway/a/tags/list"); resp.StatusCode != 200 || !strings.Contains(string(body), `"v1.0.0"`) {
		t.Errorf("tags: %d %s", resp.StatusCode, body)
	}
}

// spoilt flips one byte of a blob where it lies in an archive.
func spoilt(t *testing.T, f *layouttest.Fixture, digest string) string {
	t.Helper()
	file := archived(t, f)
	data, err := os.ReadFile(file)
	check(t, err)
	blob := blobOf(t, f, digest)
	at := bytes.Index(data, blob)
	if at < 0 {
		t.Fatalf("%s is not in the archive", digest)
	}
	data[at+len(blob)/2] ^= 1
	check(t, os.WriteFile(file, data, 0o644))
	return file
}

func TestAFlippedByteInAnArchiveIsFoundByClients(t *testing.T) {
	f := layouttest.New(t)
	img := f.Lock.ByName("a")[0]
	p := img.Platforms[0]
	for what, digest := range map[string]string{"manifest": p.Gzip.Manifest, "configuration": p.Config, "layer": p.Gzip.Layers[0].Digest} {
		t.Run(what, func(t *testing.T) {
			_, host := served(t, spoilt(t, f, digest))
			repository, err := name.NewRepository(host + "/" + img.Repository)
			check(t, err)
			image, err := remote.Image(repository.Digest(p.Gzip.Manifest))
			if err == nil {
				err = validate.Image(image)
			}
			if err == nil {
				t.Error("pulled")
			}
		})
	}
}

func TestSkopeoCopiesOutOfAnArchive(t *testing.T) {
	if _, err := exec.LookPath("skopeo"); err != nil {
		t.Skip("skopeo is not installed (make test-deps)")
	}
	f := layouttest.New(t)
	img := f.Lock.ByName("b")[0]
	skopeo := func(file string) (string, []byte, error) {
		_, host := served(t, file)
		dir := filepath.Join(t.TempDir(), "copied")
		cmd := exec.CommandContext(t.Context(), "skopeo", "--insecure-policy", "copy", "--quiet", "--all", "--preserve-digests", "--src-tls-verify=false",
			"docker://"+host+"/"+img.Repository+":"+img.Version, "oci:"+dir+":copied")
		cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "XDG_RUNTIME_DIR="+t.TempDir())
		out, err := cmd.CombinedOutput()
		return dir, out, err
	}
	dir, out, err := skopeo(archived(t, f))
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	l, err := layout.Open(dir)
	check(t, err)
	defer l.Close()
	for _, p := range img.Platforms {
		for _, digest := range []string{img.Index, p.Manifest, p.Gzip.Manifest, p.Config, p.Layers[0].Digest, p.Gzip.Layers[1].Digest} {
			if !slices.Contains(l.Digests(), digest) {
				t.Errorf("skopeo has not copied %s", digest)
			}
		}
	}
	if _, out, err := skopeo(spoilt(t, f, img.Platforms[0].Gzip.Layers[0].Digest)); err == nil {
		t.Errorf("skopeo has copied a flipped byte: %s", out)
	}
}
