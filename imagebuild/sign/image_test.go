package sign

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
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
	"github.com/google/go-containerregistry/pkg/v1/types"

	"slipway.build/slipway/imagebuild/referrer"
)

const identity = "registry.example/slipway/etcd"

func newKey(t testing.TB) *Key {
	t.Helper()
	k, err := LocalKey(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func trust(keys ...*Key) []*ecdsa.PublicKey {
	var all []*ecdsa.PublicKey
	for _, k := range keys {
		all = append(all, k.Public())
	}
	return all
}

// putImage writes an index with two manifests and returns the digests of what is there: in a layout
// one of the manifests is not, for it was built elsewhere.
func putImage(t testing.TB, r referrer.Repository, tag string) []string {
	t.Helper()
	manifest := func(arch string) referrer.Manifest {
		return referrer.Manifest{MediaType: types.OCIManifestSchema1, Content: fmt.Appendf(nil,
			`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","layers":[],"annotations":{"arch":%q}}`, arch)}
	}
	amd64, arm64 := manifest("amd64"), manifest("arm64")
	text, err := json.Marshal(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{amd64.Descriptor(), arm64.Descriptor()}})
	if err != nil {
		t.Fatal(err)
	}
	index := referrer.Manifest{MediaType: types.OCIImageIndex, Content: text}
	digests := []string{index.Digest(), amd64.Digest()}
	if _, layout := r.(*referrer.Layout); !layout {
		if err := r.PutManifest(t.Context(), arm64, ""); err != nil {
			t.Fatal(err)
		}
		digests = append(digests, arm64.Digest())
	}
	if err := errors.Join(r.PutManifest(t.Context(), amd64, ""), r.PutManifest(t.Context(), index, tag)); err != nil {
		t.Fatal(err)
	}
	return digests
}

func repositories(t *testing.T) map[string]referrer.Repository {
	all := map[string]referrer.Repository{"a layout": referrer.OpenLayout(t.TempDir(), "slipway/etcd")}
	for kind, api := range map[string]bool{"a registry with referrers": true, "a registry without": false} {
		server := httptest.NewServer(registry.New(registry.WithReferrersSupport(api), registry.Logger(log.New(io.Discard, "", 0))))
		t.Cleanup(server.Close)
		repository, err := name.NewRepository(strings.TrimPrefix(server.URL, "http://") + "/slipway/etcd")
		if err != nil {
			t.Fatal(err)
		}
		all[kind] = referrer.OpenRegistry(repository, nil)
	}
	return all
}

func TestAnImageIsSignedWithAllThatIsInIt(t *testing.T) {
	for kind, r := range repositories(t) {
		t.Run(kind, func(t *testing.T) {
			ctx, key, other := t.Context(), newKey(t), newKey(t)
			digests := putImage(t, r, "v3.6.16")
			if _, err := VerifyImage(ctx, r, identity, "v3.6.16", trust(key)); !errors.Is(err, ErrUnsigned) {
				t.Errorf("before it is signed: %v", err)
			}
			for range 2 { // twice is as once
				signed, err := key.Image(ctx, r, identity, "v3.6.16")
				if err != nil {
					t.Fatal(err)
				}
				if fmt.Sprint(signed) != fmt.Sprint(digests) {
					t.Errorf("signed %v, want %v", signed, digests)
				}
			}
			found, err := VerifyImage(ctx, r, identity, digests[0], trust(other, key))
			if err != nil || len(found) != 2*len(digests) {
				t.Fatalf("%d signatures, %v: %+v", len(found), err, found)
			}
			for _, s := range found {
				if s.Key != key.ID() {
					t.Errorf("made by %s", s.Key)
				}
			}
			if found, err := VerifyImage(ctx, r, identity, digests[0], trust(other)); err == nil || len(found) != 0 || errors.Is(err, ErrUnsigned) {
				t.Errorf("by another key: %+v %v", found, err)
			}
			if _, err := VerifySimple(ctx, r, "registry.example/slipway/coredns", digests[0], trust(key)); err == nil || !strings.Contains(err.Error(), "not of registry.example/slipway/coredns") {
				t.Errorf("of another repository: %v", err)
			}
			for tag, want := range map[string]int{SimpleTag(digests[0]): 1, SimpleTag(digests[1]): 1} {
				if got := layers(t, r, tag); len(got.Layers) != want {
					t.Errorf("%s has %d signatures", tag, len(got.Layers))
				}
			}
		})
	}
}

func layers(t testing.TB, r referrer.Repository, tag string) *v1.Manifest {
	t.Helper()
	stored, err := r.Manifest(t.Context(), tag, maxManifest)
	if err != nil {
		t.Fatal(err)
	}
	m := new(v1.Manifest)
	if err := json.Unmarshal(stored.Content, m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestSignaturesOfOthersStay(t *testing.T) {
	ctx, r := t.Context(), referrer.OpenLayout(t.TempDir(), "slipway/etcd")
	digest := putImage(t, r, "v1")[0]
	first, second := newKey(t), newKey(t)
	for _, k := range []*Key{first, second, first} {
		if err := k.SimpleSign(ctx, r, identity, digest); err != nil {
			t.Fatal(err)
		}
	}
	m := layers(t, r, SimpleTag(digest))
	if len(m.Layers) != 2 {
		t.Errorf("%d signatures", len(m.Layers))
	}
	config, err := r.Blob(ctx, m.Config.Digest.String(), maxManifest)
	if err != nil || strings.Count(string(config), "sha256:") != 2 {
		t.Errorf("configuration %s, %v", config, err)
	}
	for _, k := range []*Key{first, second} {
		if s, err := VerifySimple(ctx, r, identity, digest, trust(k)); err != nil || s.Key != k.ID() {
			t.Errorf("%+v %v", s, err)
		}
	}
}

// signed puts a simple signature with any content at an image's tag.
func signed(t testing.TB, r referrer.Repository, digest, payload, signature, mediaType string) {
	t.Helper()
	m := v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Layers: []v1.Descriptor{descriptor([]byte(payload), types.MediaType(mediaType))}}
	m.Layers[0].Annotations = map[string]string{signatureAnnotation: signature}
	if err := writeSimple(t.Context(), r, digest, &m, &v1.ConfigFile{}, []byte(payload)); err != nil {
		t.Fatal(err)
	}
}

func TestSimpleSignaturesThatDoNotCount(t *testing.T) {
	key, other := newKey(t), newKey(t)
	by := func(k *Key, text string) string {
		raw, err := k.signature([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return base64.StdEncoding.EncodeToString(raw)
	}
	tests := []struct {
		name string
		make func(digest, good string) (payload, signature, mediaType string)
		want string
	}{
		{"by another key", func(_, good string) (string, string, string) { return good, by(other, good), payloadMediaType }, "none of the 1 trusted keys"},
		{"over other bytes", func(_, good string) (string, string, string) { return good + " ", by(key, good), payloadMediaType }, "none of the 1 trusted keys"},
		{"of another image", func(digest, good string) (string, string, string) {
			text := strings.Replace(good, digest, "sha256:"+strings.Repeat("0", 64), 1)
			return text, by(key, text), payloadMediaType
		}, "it signs the image sha256:0000"},
		{"of another type", func(_, good string) (string, string, string) {
			text := strings.Replace(good, payloadType, "something else", 1)
			return text, by(key, text), payloadMediaType
		}, `type "something else"`},
		{"with a field that nobody knows", func(_, good string) (string, string, string) {
			text := strings.Replace(good, `{"critical"`, `{"surprise":1,"critical"`, 1)
			return text, by(key, text), payloadMediaType
		}, "unknown field"},
		{"that is an attestation", func(_, good string) (string, string, string) {
			return good, by(key, good), "application/vnd.dsse.envelope.v1+json"
		}, "media type"},
		{"that is no base64", func(_, good string) (string, string, string) { return good, "!", payloadMediaType }, "not a signature in base64"},
		{"with a payload beyond measure", func(_, good string) (string, string, string) {
			text := good + strings.Repeat(" ", maxPayload)
			return text, by(key, text), payloadMediaType
		}, "more than the"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := referrer.OpenLayout(t.TempDir(), "slipway/etcd")
			digest := putImage(t, r, "v1")[0]
			good, err := newPayload(identity, digest)
			if err != nil {
				t.Fatal(err)
			}
			payload, signature, mediaType := tt.make(digest, string(good))
			signed(t, r, digest, payload, signature, mediaType)
			if _, err := VerifySimple(t.Context(), r, identity, digest, trust(key)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestBundlesThatDoNotCount(t *testing.T) {
	key, other := newKey(t), newKey(t)
	attach := func(r referrer.Repository, subject v1.Descriptor, content []byte) error {
		_, err := referrer.Attach(t.Context(), r, subject, referrer.Artifact{Type: referrer.TypeBundle, Content: content})
		return err
	}
	bundleOf := func(k *Key, statement string) []byte {
		b, err := k.Bundle([]byte(statement))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	tests := []struct {
		name string
		make func(statement string) []byte
		want string
	}{
		{"by another key", func(s string) []byte { return bundleOf(other, s) }, "none of the 1 trusted keys"},
		{"of another image", func(s string) []byte {
			return bundleOf(key, strings.Replace(s, `"sha256":"`, `"sha256":"00`, 1))
		}, "about something else"},
		{"that attests and does not sign", func(s string) []byte {
			return bundleOf(key, strings.Replace(s, PredicateSign, "https://slsa.dev/provenance/v1", 1))
		}, "is a https://slsa.dev/provenance/v1, not a"},
		{"with other bytes in it", func(s string) []byte {
			return bytes.Replace(bundleOf(key, s), []byte(base64.StdEncoding.EncodeToString([]byte(s))), []byte(base64.StdEncoding.EncodeToString([]byte(s+" "))), 1)
		}, "none of the 1 trusted keys"},
		{"of another version", func(s string) []byte { return bytes.Replace(bundleOf(key, s), []byte("v0.3"), []byte("v0.9"), 1) }, "media type"},
		{"with a certificate", func(s string) []byte {
			return bytes.Replace(bundleOf(key, s), []byte("publicKey"), []byte("certificate"), 1)
		}, "not signed with a key"},
		{"without a signature", func(s string) []byte {
			return bytes.Replace(bundleOf(key, s), []byte(`"signatures":[`), []byte(`"signatures":[],"x":[`), 1)
		}, "no signature in it"},
		{"without an envelope", func(s string) []byte {
			return bytes.Replace(bundleOf(key, s), []byte("dsseEnvelope"), []byte("messageSignature"), 1)
		}, "no in-toto statement"},
		{"that is no statement", func(string) []byte { return bundleOf(key, "[]") }, "statement:"},
		{"that is no JSON", func(string) []byte { return []byte("{") }, "bundle:"},
		{"beyond measure", func(s string) []byte { return append(bundleOf(key, s), bytes.Repeat([]byte(" "), maxBundle)...) }, "more than the"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := referrer.OpenLayout(t.TempDir(), "slipway/etcd")
			digest := putImage(t, r, "v1")[0]
			statement, err := SignStatement(digest)
			if err != nil {
				t.Fatal(err)
			}
			index, err := r.Manifest(t.Context(), "v1", maxManifest)
			if err != nil {
				t.Fatal(err)
			}
			if err := attach(r, index.Descriptor(), tt.make(string(statement))); err != nil {
				t.Fatal(err)
			}
			if _, err := VerifyBundle(t.Context(), r, digest, PredicateSign, trust(key)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			// One that counts is found beside one that does not.
			if err := attach(r, index.Descriptor(), bundleOf(key, string(statement))); err != nil {
				t.Fatal(err)
			}
			if _, err := VerifyBundle(t.Context(), r, digest, PredicateSign, trust(key)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestTooManySignaturesAreNotLookedAt(t *testing.T) {
	ctx, r, key := t.Context(), referrer.OpenLayout(t.TempDir(), "slipway/etcd"), newKey(t)
	digest := putImage(t, r, "v1")[0]
	m := v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1}
	for i := range maxSignatures + 1 {
		m.Layers = append(m.Layers, descriptor(fmt.Appendf(nil, "%d", i), payloadMediaType))
	}
	if err := writeSimple(ctx, r, digest, &m, &v1.ConfigFile{}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := VerifySimple(ctx, r, identity, digest, trust(key)); err == nil || !strings.Contains(err.Error(), "101 layers are more than the 100") {
		t.Errorf("verify: %v", err)
	}
	if err := key.SimpleSign(ctx, r, identity, digest); err == nil || !strings.Contains(err.Error(), "101 signatures already") {
		t.Errorf("sign: %v", err)
	}
}

func TestAStatementAboutSomethingElseIsNotAttached(t *testing.T) {
	r, key := referrer.OpenLayout(t.TempDir(), "slipway/etcd"), newKey(t)
	digests := putImage(t, r, "v1")
	statement, err := SignStatement(digests[1])
	if err != nil {
		t.Fatal(err)
	}
	index, err := r.Manifest(t.Context(), "v1", maxManifest)
	if err != nil {
		t.Fatal(err)
	}
	if err := key.AttachBundle(t.Context(), r, index.Descriptor(), statement); err == nil || !strings.Contains(err.Error(), "about something else") {
		t.Errorf("got %v", err)
	}
}

func TestProvenanceThatTheLockNamesIsSigned(t *testing.T) {
	ctx, r, key := t.Context(), referrer.OpenLayout(t.TempDir(), "slipway/etcd"), newKey(t)
	digests := putImage(t, r, "v1")
	index, err := r.Manifest(ctx, "v1", maxManifest)
	if err != nil {
		t.Fatal(err)
	}
	const slsa = "https://slsa.dev/provenance/v1"
	statement := func(extra string) []byte {
		return fmt.Appendf(nil, `{"_type":%q,"subject":[{"name":"x","digest":{"sha256":%q}}],"predicateType":%q,"predicate":{%s}}`,
			statementType, strings.TrimPrefix(digests[1], "sha256:"), slsa, extra)
	}
	locked, foreign := statement(""), statement(`"evil":true`)
	for _, s := range [][]byte{locked, foreign} {
		if err := referrer.AttachEvidence(ctx, r, index.Descriptor(), "linux/amd64", referrer.Evidence{Provenance: s}); err != nil {
			t.Fatal(err)
		}
	}
	want := descriptor(locked, "").Digest.String()
	n, err := key.Provenance(ctx, r, "v1", func(d string) bool { return d == want })
	if err != nil || n != 1 {
		t.Fatalf("%d, %v", n, err)
	}
	s, err := VerifyBundle(ctx, r, digests[1], slsa, trust(key))
	if err != nil || !bytes.Equal(s.Statement, locked) {
		t.Errorf("%+v %v", s, err)
	}
	if _, err := VerifyBundle(ctx, r, digests[1], PredicateSign, trust(key)); err == nil {
		t.Error("signed provenance counts as an image's signature")
	}
}

func TestAnEncryptedKeyIsRefusedPlainly(t *testing.T) {
	file := filepath.Join(t.TempDir(), "release.key")
	if err := os.WriteFile(file, []byte("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadKey(file); err == nil || !strings.Contains(err.Error(), "encrypted keys are not read") {
		t.Errorf("got %v", err)
	}
}

func FuzzOpenBundle(f *testing.F) {
	key := newKey(f)
	statement, err := SignStatement("sha256:" + strings.Repeat("1", 64))
	if err != nil {
		f.Fatal(err)
	}
	good, err := key.Bundle(statement)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","dsseEnvelope":{"signatures":[{}]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, _, err := OpenBundle(data, trust(key))
		if err == nil && !bytes.Equal(got, statement) {
			t.Errorf("a statement that was never signed: %q", got)
		}
	})
}

func FuzzCheckPayload(f *testing.F) {
	digest := "sha256:" + strings.Repeat("1", 64)
	good, err := newPayload(identity, digest)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Fuzz(func(t *testing.T, data []byte) {
		if checkPayload(data, identity, digest) == nil && !bytes.Contains(data, []byte("1111")) {
			t.Errorf("accepted %q", data)
		}
	})
}

func ExampleKey_Image() {
	dir, err := os.MkdirTemp("", "slipt-sign-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	ctx, r := context.Background(), referrer.OpenLayout(filepath.Join(dir, "layout"), "slipway/etcd")
	image := referrer.Manifest{MediaType: types.OCIManifestSchema1, Content: []byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","layers":[]}`)}
	if err := r.PutManifest(ctx, image, "v3.6.16"); err != nil {
		panic(err)
	}
	key, err := LocalKey(filepath.Join(dir, "keys"))
	if err != nil {
		panic(err)
	}
	if _, err := key.Image(ctx, r, "registry.example/slipway/etcd", "v3.6.16"); err != nil {
		panic(err)
	}
	found, err := VerifyImage(ctx, r, "registry.example/slipway/etcd", "v3.6.16", []*ecdsa.PublicKey{key.Public()})
	for _, s := range found {
		fmt.Println(s.Form, s.Key == key.ID())
	}
	fmt.Println(err)
	// Output:
	// simple signing true
	// bundle true
	// <nil>
}
