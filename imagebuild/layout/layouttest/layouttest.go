package layouttest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"

	"slipway.build/slipway/imagebuild/layout"
	"slipway.build/slipway/imagebuild/lock"
	"slipway.build/slipway/imagebuild/sign"
)

// Fixture is a layout and its signed lock.
type Fixture struct {
	Dir             string
	Lock            *lock.Lock
	Text, Signature []byte // of the lock
	Keys            []byte // the public key, PEM
	Signer          *sign.Key
	index           v1.IndexManifest
}

// File is one file of an image.
type File struct{ Path, Content string }

// New makes a layout with the images a (one file) and b (two layers), each for two platforms in two forms and with evidence.
func New(t testing.TB) *Fixture {
	t.Helper()
	f := Empty(t)
	f.Add(t, "a", "v1.0.0", []File{{"usr/bin/a", "the program a\n"}})
	f.Add(t, "b", "v2.1.0", []File{{"usr/bin/b", strings.Repeat("the program b\n", 4000)}}, []File{{"usr/lib/b/data", "what b reads\n"}})
	f.Finish(t)
	return f
}

// In is New for examples, which have no test: in a directory that they remove, and anything that fails is a panic.
func In(dir string) *Fixture { return New(example{dir: dir}) }

// example stands in for a test.
type example struct {
	testing.TB
	dir string
}

func (e example) Helper()           {}
func (e example) Fatal(args ...any) { panic(fmt.Sprint(args...)) }
func (e example) TempDir() string {
	dir, err := os.MkdirTemp(e.dir, "")
	if err != nil {
		panic(err)
	}
	return dir
}

// Empty begins a layout.
func Empty(t testing.TB) *Fixture {
	t.Helper()
	f := &Fixture{Dir: t.TempDir(), index: v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex}}
	check(t, os.MkdirAll(filepath.Join(f.Dir, "blobs", "sha256"), 0o755))
	check(t, os.WriteFile(filepath.Join(f.Dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o644))
	key, err := sign.LocalKey(t.TempDir())
	check(t, err)
	f.Signer = key
	f.Keys, err = key.PublicPEM()
	check(t, err)
	f.Lock = &lock.Lock{Schema: lock.Schema, Toolchain: "go1.26.7"}
	return f
}

// Finish issues and signs the lock and writes index.json.
func (f *Fixture) Finish(t testing.TB) {
	t.Helper()
	slices.SortFunc(f.Lock.Images, func(x, y lock.Image) int { return x.Compare(&y) })
	if f.Lock.Number == 0 {
		f.Lock.Issue(7, time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC), 1000*time.Hour)
	}
	var err error
	f.Text, err = f.Lock.YAML("a lock")
	check(t, err)
	f.Signature, err = f.Signer.Sign(f.Text)
	check(t, err)
	f.WriteIndex(t)
}

// WriteIndex writes index.json.
func (f *Fixture) WriteIndex(t testing.TB) {
	t.Helper()
	text, err := json.Marshal(f.index)
	check(t, err)
	check(t, os.WriteFile(filepath.Join(f.Dir, "index.json"), text, 0o644))
}

// Add makes one image of layers with files, for linux/amd64 and linux/arm64.
func (f *Fixture) Add(t testing.TB, name, version string, layers ...[]File) *lock.Image {
	t.Helper()
	img := lock.Image{Name: name, Version: version, Repository: "slipway/" + name, Source: lock.Source{
		Module: "example.org/" + name, Version: version, Packages: []string{"example.org/" + name},
		Sum: "h1:" + strings.Repeat("A", 43) + "=", GoSum: layout.Digest([]byte(name + version)),
	}}
	index := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex,
		Annotations: map[string]string{"org.opencontainers.image.title": name, "org.opencontainers.image.version": version}}
	for _, arch := range []string{"amd64", "arm64"} {
		p, descriptors := f.platform(t, arch, layers)
		img.Platforms = append(img.Platforms, p)
		index.Manifests = append(index.Manifests, descriptors...)
	}
	d := f.JSON(t, index, types.OCIImageIndex)
	img.Index = d.Digest.String()
	f.List(d, img.Repository+":"+version)
	for i := range img.Platforms {
		p := &img.Platforms[i]
		p.Evidence.SPDX = f.evidence(t, d, "text/spdx+json", `{"spdxVersion":"SPDX-2.3","name":"`+name+p.Platform+`"}`)
		p.Evidence.Provenance = f.evidence(t, d, "application/vnd.in-toto+json", `{"_type":"https://in-toto.io/Statement/v1","of":"`+p.Manifest+`"}`)
	}
	f.Lock.Images = append(f.Lock.Images, img)
	return &f.Lock.Images[len(f.Lock.Images)-1]
}

func (f *Fixture) platform(t testing.TB, arch string, layers [][]File) (lock.Platform, []v1.Descriptor) {
	p := lock.Platform{Platform: "linux/" + arch}
	config := v1.ConfigFile{OS: "linux", Architecture: arch, RootFS: v1.RootFS{Type: "layers"}}
	var compressed, gzipped []v1.Descriptor
	for _, files := range layers {
		for i := range files {
			content := files[i].Content + arch
			p.Files = append(p.Files, lock.Binary{Path: files[i].Path, SHA256: strings.TrimPrefix(layout.Digest([]byte(content)), "sha256:"), Size: int64(len(content))})
		}
		plain := Tar(t, files, arch)
		diffID := layout.Digest(plain)
		hash, err := v1.NewHash(diffID)
		check(t, err)
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, hash)
		z := f.blob(t, Zstd(t, plain), types.OCILayerZStd)
		g := f.blob(t, Gzip(t, plain), types.OCILayer)
		compressed, gzipped = append(compressed, z), append(gzipped, g)
		p.Layers = append(p.Layers, lock.Layer{Digest: z.Digest.String(), DiffID: diffID, Size: z.Size})
		p.Gzip.Layers = append(p.Gzip.Layers, lock.Layer{Digest: g.Digest.String(), DiffID: diffID, Size: g.Size})
	}
	slices.SortFunc(p.Files, func(a, b lock.Binary) int { return strings.Compare(a.Path, b.Path) })
	c := f.JSON(t, config, types.OCIConfigJSON)
	p.Config = c.Digest.String()
	manifest := func(layers []v1.Descriptor) v1.Descriptor {
		d := f.JSON(t, v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Config: c, Layers: layers}, types.OCIManifestSchema1)
		d.Platform = &v1.Platform{OS: "linux", Architecture: arch}
		return d
	}
	g, z := manifest(gzipped), manifest(compressed)
	z.Annotations = map[string]string{"io.github.containers.compression.zstd": "true"}
	p.Manifest, p.Size = z.Digest.String(), z.Size
	p.Gzip.Manifest, p.Gzip.Size = g.Digest.String(), g.Size
	return p, []v1.Descriptor{g, z}
}

// evidence attaches a statement to an image's index as a referrer, and returns its digest.
func (f *Fixture) evidence(t testing.TB, subject v1.Descriptor, media, text string) string {
	empty := f.blob(t, []byte("{}"), "application/vnd.oci.empty.v1+json")
	statement := f.blob(t, []byte(text), types.MediaType(media))
	subject.Annotations = nil
	d := f.JSON(t, v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1, ArtifactType: media,
		Config: empty, Layers: []v1.Descriptor{statement}, Subject: &subject}, types.OCIManifestSchema1)
	d.ArtifactType = media
	f.index.Manifests = append(f.index.Manifests, d)
	return statement.Digest.String()
}

// List puts a descriptor into index.json under a name.
func (f *Fixture) List(d v1.Descriptor, ref string) {
	d.Annotations = map[string]string{layout.RefName: ref}
	f.index.Manifests = append(f.index.Manifests, d)
}

// JSON writes an object as a blob.
func (f *Fixture) JSON(t testing.TB, v any, media types.MediaType) v1.Descriptor {
	t.Helper()
	text, err := json.Marshal(v)
	check(t, err)
	return f.blob(t, text, media)
}

func (f *Fixture) blob(t testing.TB, data []byte, media types.MediaType) v1.Descriptor {
	t.Helper()
	digest := layout.Digest(data)
	check(t, os.WriteFile(f.Blob(digest), data, 0o644))
	hash, err := v1.NewHash(digest)
	check(t, err)
	return v1.Descriptor{MediaType: media, Size: int64(len(data)), Digest: hash}
}

// Blob is the file of a blob.
func (f *Fixture) Blob(digest string) string {
	return filepath.Join(f.Dir, "blobs", "sha256", strings.TrimPrefix(digest, "sha256:"))
}

// Flip changes one byte in the middle of a blob.
func (f *Fixture) Flip(t testing.TB, digest string) {
	t.Helper()
	data, err := os.ReadFile(f.Blob(digest))
	check(t, err)
	data[len(data)/2] ^= 1
	check(t, os.WriteFile(f.Blob(digest), data, 0o644))
}

// Tar makes a layer's archive; suffix is put behind every file's content.
func Tar(t testing.TB, files []File, suffix string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, file := range files {
		content := file.Content + suffix
		check(t, w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: file.Path, Mode: 0o555, Size: int64(len(content))}))
		_, err := fmt.Fprint(w, content)
		check(t, err)
	}
	check(t, w.Close())
	return out.Bytes()
}

// Zstd compresses.
func Zstd(t testing.TB, data []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	check(t, err)
	defer w.Close()
	return w.EncodeAll(data, nil)
}

// Gzip compresses.
func Gzip(t testing.TB, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := w.Write(data)
	check(t, err)
	check(t, w.Close())
	return out.Bytes()
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
