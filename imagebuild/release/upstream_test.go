package release

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"slipway.build/slipway/imagebuild/lock"
)

// member is a file, a link (target) or a directory (neither) of a layer.
type member struct{ name, content, symlink, hardlink string }

// archiveOf is the tar of a layer.
func archiveOf(t testing.TB, members ...member) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, m := range members {
		h := &tar.Header{Name: m.name, Mode: 0o755, Typeflag: tar.TypeReg, Size: int64(len(m.content))}
		switch {
		case m.symlink != "":
			h.Typeflag, h.Linkname = tar.TypeSymlink, m.symlink
		case m.hardlink != "":
			h.Typeflag, h.Linkname = tar.TypeLink, m.hardlink
		case strings.HasSuffix(m.name, "/"):
			h.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(m.content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// served is a registry with one image for both platforms, whose answers spoil may change.
type served struct {
	reference string
	index     string
	spoil     atomic.Pointer[func(path string, body []byte) []byte]
}

func serve(t *testing.T, change func(*v1.ConfigFile), layers ...[]byte) *served {
	t.Helper()
	s := &served{}
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		spoil := s.spoil.Load()
		if spoil == nil {
			inner.ServeHTTP(w, r)
			return
		}
		record := httptest.NewRecorder()
		inner.ServeHTTP(record, r)
		for k, v := range record.Header() {
			w.Header()[k] = v
		}
		body := (*spoil)(r.URL.Path, record.Body.Bytes())
		w.Header().Del("Content-Length")
		w.WriteHeader(record.Code)
		_, _ = w.Write(body)
	}))
	t.Cleanup(server.Close)
	index := v1.ImageIndex(empty.Index)
	for _, architecture := range []string{"amd64", "arm64", "s390x"} {
		image := v1.Image(empty.Image)
		for _, raw := range layers {
			layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(raw)), nil })
			if err != nil {
				t.Fatal(err)
			}
			if image, err = mutate.AppendLayers(image, layer); err != nil {
				t.Fatal(err)
			}
		}
		config, err := image.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		config = config.DeepCopy()
		config.OS, config.Architecture = "linux", architecture
		config.Config.Entrypoint = []string{"/cluster-autoscaler"}
		if change != nil {
			change(config)
		}
		if image, err = mutate.ConfigFile(image, config); err != nil {
			t.Fatal(err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: architecture}}})
	}
	s.reference = strings.TrimPrefix(server.URL, "http://") + "/autoscaling/cluster-autoscaler:v1.36.1"
	ref, err := name.ParseReference(s.reference)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(ref, index); err != nil {
		t.Fatal(err)
	}
	digest, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	s.index = digest.String()
	return s
}

func (s *served) image() lock.Image {
	return upstream("cluster-autoscaler", "v1.36.1", s.reference)[0]
}

func hexOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func TestAnUpstreamImageIsResolvedFromItsBytes(t *testing.T) {
	raw := archiveOf(t, member{name: "cluster-autoscaler", content: "a program"}, member{name: "etc/ssl/cert.pem", content: "roots"})
	s := serve(t, nil, raw)
	digest, err := (Upstream{}).Digest(t.Context(), s.reference)
	if err != nil || digest != s.index {
		t.Fatalf("%s, %v", digest, err)
	}
	img, err := (Upstream{}).Resolve(t.Context(), s.image())
	if err != nil {
		t.Fatal(err)
	}
	l := lockOf(t, []lock.Image{*img}) // which validates it
	p, ok := l.Images[0].For("linux/arm64")
	if !ok || len(l.Images[0].Platforms) != 2 || img.Source.Reference != s.reference+"@"+s.index {
		t.Fatalf("%+v", img)
	}
	if len(p.Files) != 1 || p.Files[0].Path != "cluster-autoscaler" || p.Files[0].SHA256 != hexOf("a program") || p.Size == 0 {
		t.Errorf("%+v", p)
	}
	if p.Layers[0].DiffID != "sha256:"+hexOf(string(raw)) {
		t.Errorf("%+v", p.Layers)
	}
	expect(t, find(t, "pinned", subject(l)))
}

func TestAnUpstreamImageThatLiesIsRefused(t *testing.T) {
	raw := archiveOf(t, member{name: "cluster-autoscaler", content: "a program"})
	flip := func(what string) func(string, []byte) []byte {
		return func(path string, body []byte) []byte {
			if strings.Contains(path, what) && len(body) > 100 {
				body = bytes.Clone(body)
				body[len(body)-20] ^= 1
			}
			return body
		}
	}
	for name, tt := range map[string]struct {
		change func(*v1.ConfigFile)
		spoil  func(string, []byte) []byte
		layers [][]byte
		want   string
	}{
		"a changed blob":           {nil, flip("/blobs/"), [][]byte{raw}, ""},
		"a changed manifest":       {nil, flip("/manifests/sha256"), [][]byte{raw}, ""},
		"another diff ID":          {func(c *v1.ConfigFile) { c.RootFS.DiffIDs[0].Hex = strings.Repeat("0", 64) }, nil, [][]byte{raw}, "unpacks to sha256:0000"},
		"too few diff IDs":         {func(c *v1.ConfigFile) { c.RootFS.DiffIDs = nil }, nil, [][]byte{raw}, "its configuration 0"},
		"another platform":         {func(c *v1.ConfigFile) { c.Architecture = "arm" }, nil, [][]byte{raw}, "says linux/arm"},
		"no command":               {func(c *v1.ConfigFile) { c.Config.Entrypoint = nil }, nil, [][]byte{raw}, "no command"},
		"a command that is not it": {func(c *v1.ConfigFile) { c.Config.Entrypoint = []string{"/bin/sh"} }, nil, [][]byte{raw}, `"/bin/sh" is no file`},
		"no layers":                {nil, nil, nil, "0 layers"},
		"a layer that is no tar":   {nil, nil, [][]byte{[]byte(strings.Repeat("no tar ", 200))}, "layer 1 of 1"},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, tt.change, tt.layers...)
			if tt.spoil != nil {
				s.spoil.Store(&tt.spoil)
			}
			img, err := (Upstream{}).Resolve(t.Context(), s.image())
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%+v, error %v, want one with %q", img, err, tt.want)
			}
		})
	}
	s := serve(t, nil, raw)
	if _, err := (Upstream{Platforms: []string{"linux/riscv64"}}).Resolve(t.Context(), s.image()); err == nil || !strings.Contains(err.Error(), "there are linux/amd64, linux/arm64, linux/s390x") {
		t.Errorf("a platform that is not there: %v", err)
	}
	for _, reference := range []string{"no reference", s.reference + "-none"} {
		if _, err := (Upstream{}).Digest(t.Context(), reference); err == nil {
			t.Errorf("%s has a digest", reference)
		}
	}
}

func TestCommandsAreFoundWhereTheyReallyAre(t *testing.T) {
	base := archiveOf(t,
		member{name: "./usr/bin/tini", content: "tini"}, member{name: "bin", symlink: "usr/bin"}, member{name: "usr/bin/sh", symlink: "../lib/busybox"},
		member{name: "usr/lib/busybox", content: "busybox"}, member{name: "old/a", content: "a"}, member{name: "old/b", content: "b"}, member{name: "loop", symlink: "loop"},
		member{name: "usr/bin/hard", hardlink: "usr/lib/busybox"})
	top := archiveOf(t, member{name: "usr/bin/entry", content: "#!/bin/sh"}, member{name: "old/.wh.a"}, member{name: "gone/.wh..wh..opq"})
	tr := newTree()
	for _, raw := range [][]byte{base, top} {
		if err := tr.add(bytes.NewReader(raw)); err != nil {
			t.Fatal(err)
		}
	}
	for name, tt := range map[string]struct {
		words []string
		want  string // paths, or what the error says
	}{
		"by PATH, and its script":   {[]string{"tini", "--", "/bin/entry", "--flag", "/nowhere"}, "usr/bin/entry usr/bin/tini"},
		"through links":             {[]string{"/bin/sh"}, "usr/lib/busybox"},
		"a hard link":               {[]string{"/usr/bin/hard"}, "usr/bin/hard"},
		"what an upper layer hides": {[]string{"/old/a"}, "no file in it"},
		"its neighbour":             {[]string{"/old/b"}, "old/b"},
		"a link to itself":          {[]string{"/loop"}, "no file in it"},
		"out of the image":          {[]string{"/../../usr/bin/tini"}, "usr/bin/tini"},
		"a relative path":           {[]string{"./tini"}, "no file in it"},
		"a directory":               {[]string{"/usr"}, "no file in it"},
	} {
		t.Run(name, func(t *testing.T) {
			files, err := tr.commands(tt.words, []string{"PATH=/sbin:/bin"})
			var got []string
			for _, f := range files {
				got = append(got, f.Path)
			}
			if text := strings.Join(got, " "); text != tt.want && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %q, %v", text, err)
			}
		})
	}
}

func FuzzLayer(f *testing.F) {
	f.Add(archiveOf(f, member{name: "a", content: "x"}, member{name: "b", symlink: "a"}, member{name: ".wh.a"}))
	f.Fuzz(func(t *testing.T, raw []byte) {
		tr := newTree()
		_ = tr.add(bytes.NewReader(raw))
		for name := range tr.links {
			tr.file(name) // ends
		}
		for name, file := range tr.files {
			if strings.HasPrefix(name, "/") || strings.HasPrefix(name, "../") || file.Path != name {
				t.Errorf("%q", name)
			}
		}
	})
}
