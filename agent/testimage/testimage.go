// Package testimage makes component images, locks, plans' keys and registries for tests: real
// bytes in the real formats, small and invented.
package testimage

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/klauspost/compress/zstd"

	"slipway.build/slipway/agent/trust"
	"slipway.build/slipway/imagebuild/lock"
)

// Media types of layers.
const (
	Zstd = "application/vnd.oci.image.layer.v1.tar+zstd"
	Gzip = "application/vnd.oci.image.layer.v1.tar+gzip"
	Tar  = "application/vnd.oci.image.layer.v1.tar"
)

// File is one file of an image.
type File struct {
	Path    string
	Content []byte
}

// Image is an image ready to be pushed, with what the lock says about it.
type Image struct {
	Locked   lock.Image
	Manifest []byte
	Blobs    map[string][]byte // by digest
}

// Platform returns the lock's entry for this machine.
func (i *Image) Platform() *lock.Platform { return &i.Locked.Platforms[0] }

// New builds an image with one layer of the media type for each list of files.
func New(t testing.TB, name, media string, layers ...[]File) *Image {
	t.Helper()
	var tars [][]byte
	var files []lock.Binary
	for _, layer := range layers {
		var buffer bytes.Buffer
		w := tar.NewWriter(&buffer)
		for _, file := range layer {
			check(t, w.WriteHeader(&tar.Header{Name: file.Path, Mode: 0o755, Size: int64(len(file.Content)), Typeflag: tar.TypeReg}))
			_, err := w.Write(file.Content)
			check(t, err)
			files = append(files, lock.Binary{Path: file.Path, SHA256: strings.TrimPrefix(Digest(file.Content), "sha256:"), Size: int64(len(file.Content))})
		}
		check(t, w.Close())
		tars = append(tars, buffer.Bytes())
	}
	slices.SortFunc(files, func(a, b lock.Binary) int { return strings.Compare(a.Path, b.Path) })
	return FromTars(t, name, media, tars, files)
}

// FromTars builds an image from tar streams as they are, which may be hostile, and a list of
// files as a lock may name them.
func FromTars(t testing.TB, name, media string, tars [][]byte, files []lock.Binary) *Image {
	t.Helper()
	img := &Image{Blobs: map[string][]byte{}}
	platform := lock.Platform{Platform: trust.Platform(), Files: files}
	var layers []map[string]any
	var diffIDs []string
	for _, stream := range tars {
		blob := compress(t, media, stream)
		img.Blobs[Digest(blob)] = blob
		platform.Layers = append(platform.Layers, lock.Layer{Digest: Digest(blob), DiffID: Digest(stream), Size: int64(len(blob))})
		layers = append(layers, map[string]any{"mediaType": media, "digest": Digest(blob), "size": len(blob)})
		diffIDs = append(diffIDs, Digest(stream))
	}
	config, err := json.Marshal(map[string]any{
		"architecture": "amd64", "os": "linux", "rootfs": map[string]any{"type": "layers", "diff_ids": diffIDs},
		"config": map[string]any{"Labels": map[string]string{"name": name}},
	})
	check(t, err)
	img.Blobs[Digest(config)] = config
	platform.Config = Digest(config)
	img.Manifest, err = json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
		"config": map[string]any{"mediaType": "application/vnd.oci.image.config.v1+json", "digest": Digest(config), "size": len(config)},
		"layers": layers,
	})
	check(t, err)
	platform.Manifest = Digest(img.Manifest)
	img.Locked = lock.Image{
		Name: name, Version: "v1.0.0", Repository: "slipway/" + name, Index: platform.Manifest,
		Source:    lock.Source{Reference: "test/" + name},
		Platforms: []lock.Platform{platform},
	}
	return img
}

func compress(t testing.TB, media string, stream []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	var w io.WriteCloser
	switch media {
	case Zstd:
		enc, err := zstd.NewWriter(&out, zstd.WithEncoderConcurrency(1))
		check(t, err)
		w = enc
	case Gzip:
		w = gzip.NewWriter(&out)
	default:
		return stream
	}
	_, err := w.Write(stream)
	check(t, err)
	check(t, w.Close())
	return out.Bytes()
}

// Registry is a registry in memory (go-containerregistry's) over plain HTTP.
type Registry struct{ *httptest.Server }

// NewRegistry starts a registry that holds the images.
func NewRegistry(t testing.TB, wrap func(http.Handler) http.Handler, images ...*Image) *Registry {
	t.Helper()
	handler := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	for _, image := range images {
		push(t, handler, image)
	}
	if wrap != nil {
		handler = wrap(handler)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return &Registry{Server: server}
}

func push(t testing.TB, handler http.Handler, image *Image) {
	t.Helper()
	base := "/v2/" + image.Locked.Repository
	send := func(method, path, media string, body []byte) {
		req := httptest.NewRequest(method, path, bytes.NewReader(body))
		req.Header.Set("Content-Type", media)
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, req)
		if recorder.Code != http.StatusCreated {
			t.Fatalf("%s %s: %d %s", method, path, recorder.Code, recorder.Body)
		}
	}
	for digest, blob := range image.Blobs {
		send(http.MethodPost, base+"/blobs/uploads/?digest="+digest, "application/octet-stream", blob)
	}
	send(http.MethodPut, base+"/manifests/"+image.Platform().Manifest, "application/vnd.oci.image.manifest.v1+json", image.Manifest)
}

// Lock returns lock number 1 of the images, good for a year from yesterday on, signed by key: its
// bytes, its signature and its digest.
func Lock(t testing.TB, key *ecdsa.PrivateKey, images ...*Image) (raw, signature []byte, digest string) {
	t.Helper()
	return LockIssued(t, key, 1, time.Now().Add(-24*time.Hour), 366*24*time.Hour, images...)
}

// LockIssued is Lock with a number, a time of issue and a life.
func LockIssued(t testing.TB, key *ecdsa.PrivateKey, number int64, issued time.Time, life time.Duration, images ...*Image) (raw, signature []byte, digest string) {
	t.Helper()
	l := &lock.Lock{Schema: lock.Schema, Toolchain: "go1.26.7"}
	l.Issue(number, issued, life)
	for _, image := range images {
		l.Images = append(l.Images, image.Locked)
	}
	slices.SortFunc(l.Images, func(a, b lock.Image) int { return a.Compare(&b) })
	raw, err := l.Canonical()
	check(t, err)
	sum := sha256.Sum256(raw)
	der, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
	check(t, err)
	digest, err = l.Digest()
	check(t, err)
	return raw, []byte(base64.StdEncoding.EncodeToString(der) + "\n"), digest
}

// Key makes a P-256 key and the PEM form of its public half.
func Key(t testing.TB) (*ecdsa.PrivateKey, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	check(t, err)
	return key, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// Digest returns the sha256 digest of data.
func Digest(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Content returns n bytes that do not compress to nothing and differ by seed.
func Content(seed string, n int) []byte {
	var out bytes.Buffer
	for i := 0; out.Len() < n; i++ {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s/%d", seed, i))
		out.WriteString(hex.EncodeToString(sum[:]))
	}
	return out.Bytes()[:n]
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
