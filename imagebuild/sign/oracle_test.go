package sign_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

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
	c := osimage.Contents{Agent: program, ImportTool: program, Exec: program, Verifier: program, TrustKeys: publicPEM(t, key)}
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
	good := oracles.PutImage(t, layout, "signed", "signed")
	tests := []struct {
		name, image string
		sign        func(t *testing.T, c oracles.Image)
		want        string // beginning of the verdict's reason; empty: allowed
	}{
		{"signed", "", func(t *testing.T, c oracles.Image) { signAll(t, key, repository, c.Index.Digest()) }, ""},
		{"signed by another, too", "", func(t *testing.T, c oracles.Image) {
			signAll(t, other, repository, c.Index.Digest())
			signAll(t, key, repository, c.Index.Digest())
		}, ""},
		{"unsigned", "", func(*testing.T, oracles.Image) {}, "A signature was required, but no signature exists"},
		{"signed by another key", "", func(t *testing.T, c oracles.Image) { signAll(t, other, repository, c.Index.Digest()) }, "cryptographic signature verification failed: invalid signature when validating ASN.1 encoded signature"},
		{"with another image's signature", "", func(t *testing.T, c oracles.Image) {
			signAll(t, key, repository, good.Index.Digest())
			for from, to := range map[string]string{good.Index.Digest(): c.Index.Digest(), good.Gzip.Digest(): c.Gzip.Digest(), good.Zstd.Digest(): c.Zstd.Digest()} {
				m, err := layout.Manifest(ctx, sign.SimpleTag(from), referrer.MaxArtifact)
				check(t, errors.Join(err, layout.PutManifest(ctx, m, sign.SimpleTag(to))))
			}
		}, "digest " + good.Zstd.Digest() + " does not match"},
		{"signed for another repository", "", func(t *testing.T, c oracles.Image) { signAll(t, key, host+"/slipway/other", c.Index.Digest()) }, "Signature for identity"},
		{"signed as an index alone", "", func(t *testing.T, c oracles.Image) {
			check(t, key.SimpleSign(ctx, layout, repository, c.Index.Digest()))
		}, "A signature was required, but no signature exists"},
		{"signed with bundles alone", "", func(t *testing.T, c oracles.Image) {
			for _, m := range []referrer.Manifest{c.Index, c.Gzip, c.Zstd} {
				statement, err := sign.SignStatement(m.Digest())
				check(t, errors.Join(err, key.AttachBundle(ctx, layout, m.Descriptor(), statement)))
			}
		}, "A signature was required, but no signature exists"},
		{"of a repository that the policy does not name", "slipway/other", func(t *testing.T, c oracles.Image) {
			oracles.PutImage(t, elsewhere, "any", t.Name())
			_, err := key.Image(ctx, elsewhere, host+"/slipway/other", "any")
			check(t, err)
		}, "is rejected by policy"},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tag := fmt.Sprintf("case-%d", i)
			c := oracles.PutImage(t, layout, tag, tt.name)
			tt.sign(t, c)
			image := repository + ":" + tag
			if tt.image != "" {
				image = host + "/" + tt.image + ":any"
			}
			verdict, pulled := oracles.Policy(t, root, image)
			t.Log(verdict)
			if tt.want == "" {
				if verdict != "allowed" || pulled != c.Zstd.Digest() {
					t.Errorf("%s; pulled %s, want the zstd manifest %s", verdict, pulled, c.Zstd.Digest())
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

// TestSigstoreVerifiesBundles asks sigstore's own library about what lies beside an image, where there
// is no network.
func TestSigstoreVerifiesBundles(t *testing.T) {
	program := oracles.Program(t, "sigstore")
	key, other := newKey(t), newKey(t)
	ctx, r := t.Context(), referrer.OpenLayout(t.TempDir(), "slipway/etcd")
	c, second := oracles.PutImage(t, r, "v1", "one"), oracles.PutImage(t, r, "v2", "two")
	_, err := key.Image(ctx, r, "registry.example/slipway/etcd", "v1")
	check(t, err)
	const provenance = "https://slsa.dev/provenance/v1"
	check(t, key.AttachBundle(ctx, r, c.Zstd.Descriptor(), fmt.Appendf(nil,
		`{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"x","digest":{"sha256":%q}}],"predicateType":%q,"predicate":{}}`,
		strings.TrimPrefix(c.Zstd.Digest(), "sha256:"), provenance)))
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
	index := read(c.Index, sign.PredicateSign)
	_, err = other.Image(ctx, r, "registry.example/slipway/etcd", "v2")
	check(t, err)
	foreign := read(second.Index, sign.PredicateSign)
	tests := []struct {
		name   string
		key    *sign.Key
		bundle []byte
		digest string
		want   string
	}{
		{"a signature", key, index, c.Index.Digest(), sign.PredicateSign},
		{"a manifest's signature", key, read(c.Gzip, sign.PredicateSign), c.Gzip.Digest(), sign.PredicateSign},
		{"provenance", key, read(c.Zstd, provenance), c.Zstd.Digest(), provenance},
		{"another key", other, index, c.Index.Digest(), "refused: failed to verify signature: could not verify envelope: accepted signatures do not match threshold"},
		{"another image", key, index, second.Index.Digest(), "refused: failed to verify signature: provided artifact digest does not match any digest in statement"},
		{"another statement in it", key, bytes.Replace(index, payload(index), payload(foreign), 1), second.Index.Digest(), "refused: failed to verify signature: could not verify envelope"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			keyFile, bundleFile := filepath.Join(dir, "key.pub"), filepath.Join(dir, "bundle.json")
			check(t, errors.Join(os.WriteFile(keyFile, publicPEM(t, tt.key), 0o644), os.WriteFile(bundleFile, tt.bundle, 0o644)))
			got := oracles.Ask(t, "unshare", "--map-root-user", "--net", "--", program, "-key", keyFile, "-bundle", bundleFile, "-digest", tt.digest)
			t.Log(got)
			if !strings.HasPrefix(got, tt.want) {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}
