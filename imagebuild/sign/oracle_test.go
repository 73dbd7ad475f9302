package sign_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"

	"slipway.build/slipway/imagebuild/lock"
	"slipway.build/slipway/imagebuild/osimage"
	"slipway.build/slipway/imagebuild/referrer"
	"slipway.build/slipway/imagebuild/registry"
	"slipway.build/slipway/imagebuild/sign"
	"slipway.build/slipway/test/oracles"
)

func newKey(t testing.TB) *sign.Key {
	t.Helper()
	k, err := sign.LocalKey(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func publicPEM(t testing.TB, k *sign.Key) []byte {
	t.Helper()
	text, err := k.PublicPEM()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// component is a whole image as ours are: an index with a gzip and a zstd manifest of one platform.
type component struct {
	index, gzip, zstd referrer.Manifest
}

// putComponent writes an image whose layer holds text.
func putComponent(t testing.TB, r referrer.Repository, tag, text string) component {
	t.Helper()
	var raw, small bytes.Buffer
	tw := tar.NewWriter(&raw)
	check(t, tw.WriteHeader(&tar.Header{Name: "file", Mode: 0o444, Size: int64(len(text))}))
	_, err := tw.Write([]byte(text))
	check(t, errors.Join(err, tw.Close()))
	zw := gzip.NewWriter(&small)
	_, err = zw.Write(raw.Bytes())
	check(t, errors.Join(err, zw.Close()))
	enc, err := zstd.NewWriter(nil)
	check(t, err)
	config, err := json.Marshal(v1.ConfigFile{OS: "linux", Architecture: "amd64", RootFS: v1.RootFS{Type: "layers", DiffIDs: []v1.Hash{
		{Algorithm: "sha256", Hex: fmt.Sprintf("%x", sha256.Sum256(raw.Bytes()))},
	}}})
	check(t, err)
	manifest := func(layer []byte, kind types.MediaType) referrer.Manifest {
		m := v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1,
			Config: referrer.Manifest{MediaType: types.OCIConfigJSON, Content: config}.Descriptor(),
			Layers: []v1.Descriptor{referrer.Manifest{MediaType: kind, Content: layer}.Descriptor()},
		}
		b, err := json.Marshal(m)
		out := referrer.Manifest{MediaType: types.OCIManifestSchema1, Content: b}
		check(t, errors.Join(err, r.PutBlob(t.Context(), layer), r.PutBlob(t.Context(), config), r.PutManifest(t.Context(), out, "")))
		return out
	}
	c := component{gzip: manifest(small.Bytes(), types.OCILayer), zstd: manifest(enc.EncodeAll(raw.Bytes(), nil), types.OCILayerZStd)}
	first, second := c.gzip.Descriptor(), c.zstd.Descriptor()
	first.Platform, second.Platform = &v1.Platform{OS: "linux", Architecture: "amd64"}, &v1.Platform{OS: "linux", Architecture: "amd64"}
	second.Annotations = map[string]string{"io.github.containers.compression.zstd": "true"}
	b, err := json.Marshal(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{first, second}})
	c.index = referrer.Manifest{MediaType: types.OCIImageIndex, Content: b}
	check(t, errors.Join(err, r.PutManifest(t.Context(), c.index, tag)))
	return c
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// node extracts an OS layer with a policy for one repository into a folder: what a node has.
func node(t testing.TB, repository string, key *sign.Key) string {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "program")
	header := elf.Header64{Type: uint16(elf.ET_EXEC), Machine: uint16(elf.EM_X86_64), Version: 1, Ehsize: 64}
	copy(header.Ident[:], elf.ELFMAG)
	header.Ident[elf.EI_CLASS], header.Ident[elf.EI_DATA], header.Ident[elf.EI_VERSION] = byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), 1
	var b bytes.Buffer
	check(t, errors.Join(binary.Write(&b, binary.LittleEndian, header), os.WriteFile(program, b.Bytes(), 0o600)))
	c := osimage.Contents{Agent: program, ImportTool: program, Exec: program, TrustKeys: publicPEM(t, key)}
	l := lock.Lock{Schema: lock.Schema, Number: 1, Issued: "2026-11-21T17:00:00Z", Expires: "2031-11-20T17:00:00Z", Toolchain: "go1.26.7"}
	var err error
	c.Lock, err = l.YAML("")
	check(t, err)
	c.LockSignature, err = key.Sign(c.Lock)
	check(t, err)
	c.Policy.Repositories = []osimage.Repository{{Name: repository, Key: publicPEM(t, key)}}
	layer, err := osimage.New(c)
	check(t, err)
	root, err := layer.ExtractTo(filepath.Join(dir, "layers"))
	check(t, err)
	return root
}

// TestThePolicyEngineOfANode asks containers/image, with the files that our OS layer brings, about
// images in our registry.
func TestThePolicyEngineOfANode(t *testing.T) {
	dir := t.TempDir()
	server := httptest.NewServer(registry.New(dir))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	repository := host + "/slipway/etcd"
	key, other := newKey(t), newKey(t)
	root := node(t, repository, key)
	ctx := t.Context()
	layout := referrer.OpenLayout(dir, "slipway/etcd")
	elsewhere := referrer.OpenLayout(dir, "slipway/other")
	signAll := func(t *testing.T, k *sign.Key, identity, tag string) {
		_, err := k.Image(ctx, layout, identity, tag)
		check(t, err)
	}
	good := putComponent(t, layout, "signed", "signed")
	tests := []struct {
		name, image string
		sign        func(t *testing.T, c component)
		want        string // beginning of the verdict's reason; empty: allowed
	}{
		{"signed", "", func(t *testing.T, c component) { signAll(t, key, repository, c.index.Digest()) }, ""},
		{"signed by another, too", "", func(t *testing.T, c component) {
			signAll(t, other, repository, c.index.Digest())
			signAll(t, key, repository, c.index.Digest())
		}, ""},
		{"unsigned", "", func(*testing.T, component) {}, "A signature was required, but no signature exists"},
		{"signed by another key", "", func(t *testing.T, c component) { signAll(t, other, repository, c.index.Digest()) }, "cryptographic signature verification failed: invalid signature when validating ASN.1 encoded signature"},
		{"with another image's signature", "", func(t *testing.T, c component) {
			signAll(t, key, repository, good.index.Digest())
			for from, to := range map[string]string{good.index.Digest(): c.index.Digest(), good.gzip.Digest(): c.gzip.Digest(), good.zstd.Digest(): c.zstd.Digest()} {
				m, err := layout.Manifest(ctx, sign.SimpleTag(from), referrer.MaxArtifact)
				check(t, errors.Join(err, layout.PutManifest(ctx, m, sign.SimpleTag(to))))
			}
		}, "digest " + good.zstd.Digest() + " does not match"},
		{"signed for another repository", "", func(t *testing.T, c component) { signAll(t, key, host+"/slipway/other", c.index.Digest()) }, "Signature for identity"},
		{"signed as an index alone", "", func(t *testing.T, c component) {
			check(t, key.SimpleSign(ctx, layout, repository, c.index.Digest()))
		}, "A signature was required, but no signature exists"},
		{"signed with bundles alone", "", func(t *testing.T, c component) {
			for _, m := range []referrer.Manifest{c.index, c.gzip, c.zstd} {
				statement, err := sign.SignStatement(m.Digest())
				check(t, errors.Join(err, key.AttachBundle(ctx, layout, m.Descriptor(), statement)))
			}
		}, "A signature was required, but no signature exists"},
		{"of a repository that the policy does not name", "slipway/other", func(t *testing.T, c component) {
			putComponent(t, elsewhere, "any", t.Name())
			_, err := key.Image(ctx, elsewhere, host+"/slipway/other", "any")
			check(t, err)
		}, "is rejected by policy"},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tag := fmt.Sprintf("case-%d", i)
			c := putComponent(t, layout, tag, tt.name)
			tt.sign(t, c)
			image := repository + ":" + tag
			if tt.image != "" {
				image = host + "/" + tt.image + ":any"
			}
			verdict, pulled := oracles.Policy(t, root, image)
			t.Log(verdict)
			if tt.want == "" {
				if verdict != "allowed" || pulled != c.zstd.Digest() {
					t.Errorf("%s; pulled %s, want the zstd manifest %s", verdict, pulled, c.zstd.Digest())
				}
				return
			}
			if !strings.HasPrefix(verdict, "refused:") || !strings.Contains(verdict, tt.want) || pulled != "" {
				t.Errorf("got %s (pulled %q), want %q", verdict, pulled, tt.want)
			}
		})
	}
}

// payload is the statement in a bundle, in base64.
func payload(bundle []byte) []byte {
	return regexp.MustCompile(`"payload":"[^"]*"`).Find(bundle)
}

// TestSigstoreVerifiesBundles asks sigstore's own library about what hangs beside an image.
func TestSigstoreVerifiesBundles(t *testing.T) {
	program := oracles.Program(t, "sigstore")
	key, other := newKey(t), newKey(t)
	ctx, r := t.Context(), referrer.OpenLayout(t.TempDir(), "slipway/etcd")
	c, second := putComponent(t, r, "v1", "one"), putComponent(t, r, "v2", "two")
	_, err := key.Image(ctx, r, "registry.example/slipway/etcd", "v1")
	check(t, err)
	const provenance = "https://slsa.dev/provenance/v1"
	check(t, key.AttachBundle(ctx, r, c.zstd.Descriptor(), fmt.Appendf(nil,
		`{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"x","digest":{"sha256":%q}}],"predicateType":%q,"predicate":{}}`,
		strings.TrimPrefix(c.zstd.Digest(), "sha256:"), provenance)))
	read := func(m referrer.Manifest, predicate string) []byte {
		list, err := referrer.List(ctx, r, m.Digest(), referrer.TypeBundle)
		check(t, err)
		for _, d := range list {
			if d.Annotations["dev.sigstore.bundle.predicateType"] == predicate {
				a, err := referrer.Read(ctx, r, m.Digest(), d, 0)
				check(t, err)
				return a.Content
			}
		}
		t.Fatalf("no bundle with %s", predicate)
		return nil
	}
	index := read(c.index, sign.PredicateSign)
	_, err = other.Image(ctx, r, "registry.example/slipway/etcd", "v2")
	check(t, err)
	foreign := read(second.index, sign.PredicateSign)
	tests := []struct {
		name   string
		key    *sign.Key
		bundle []byte
		digest string
		want   string
	}{
		{"a signature", key, index, c.index.Digest(), sign.PredicateSign},
		{"a manifest's signature", key, read(c.gzip, sign.PredicateSign), c.gzip.Digest(), sign.PredicateSign},
		{"provenance", key, read(c.zstd, provenance), c.zstd.Digest(), provenance},
		{"another key", other, index, c.index.Digest(), "refused: failed to verify signature: could not verify envelope: accepted signatures do not match threshold"},
		{"another image", key, index, second.index.Digest(), "refused: failed to verify signature: provided artifact digest does not match any digest in statement"},
		{"another statement in it", key, bytes.Replace(index, payload(index), payload(foreign), 1), second.index.Digest(), "refused: failed to verify signature: could not verify envelope"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			keyFile, bundleFile := filepath.Join(dir, "key.pub"), filepath.Join(dir, "bundle.json")
			check(t, errors.Join(os.WriteFile(keyFile, publicPEM(t, tt.key), 0o644), os.WriteFile(bundleFile, tt.bundle, 0o644)))
			got := oracles.Ask(t, program, "-key", keyFile, "-bundle", bundleFile, "-digest", tt.digest)
			t.Log(got)
			if !strings.HasPrefix(got, tt.want) {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}
