package sign

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"slipway.build/slipway/imagebuild/lock"
	"slipway.build/slipway/imagebuild/referrer"
)

// Limits of what is read to verify an image; Talos draws the same lines.
const (
	maxSignatures = 100       // signatures of one image that are looked at
	maxManifest   = 128 << 10 // bytes of a manifest of signatures
	maxPayload    = 16 << 10  // bytes of a simple signature's payload
	maxBundle     = 1 << 20   // bytes of a bundle
)

// ErrUnsigned says that there is no signature of a form at all.
var ErrUnsigned = errors.New("no signature")

// Signature is a signature of an image that was verified.
type Signature struct {
	Form  string `json:"form"`  // "simple signing" or "bundle"
	Image string `json:"image"` // digest of the manifest or index that it is about
	Key   string `json:"key"`   // id of the key that made it, as lock.KeyID
	// Identity is the repository that a simple signature binds the image to; a bundle binds to none.
	Identity string `json:"identity,omitempty"`
	// Predicate is the type of a bundle's statement.
	Predicate string `json:"predicate,omitempty"`
	// Statement is a bundle's in-toto statement.
	Statement []byte `json:"-"`
}

// SimpleTag returns the tag of an image's simple signatures: "sha256-<hex>.sig".
func SimpleTag(digest string) string { return referrer.Tag(digest) + ".sig" }

// SimpleSign adds a signature to the manifest of simple signatures of an image, which says that
// the image is one of the repository identity, such as "registry.example/slipway/etcd". Signatures
// of other keys stay; one that is there already is not made again. A registry cannot change a
// manifest in one step, so of two that sign the same image at the same time one may be lost: sign
// from one place, or verify and sign again.
func (k *Key) SimpleSign(ctx context.Context, r referrer.Repository, identity, digest string) error {
	if err := k.simpleSign(ctx, r, identity, digest); err != nil {
		return fmt.Errorf("sign %s in %s: %w", digest, r, err)
	}
	return nil
}

func (k *Key) simpleSign(ctx context.Context, r referrer.Repository, identity, digest string) error {
	if _, err := repositoryOf(identity); err != nil {
		return err
	}
	text, err := newPayload(identity, digest)
	if err != nil {
		return err
	}
	m, config, err := readSimple(ctx, r, digest)
	if err != nil && !errors.Is(err, referrer.ErrNotFound) {
		return err
	}
	raw, err := k.signature(text)
	if err != nil {
		return err
	}
	encoded := base64.StdEncoding.EncodeToString(raw)
	layer := descriptor(text, payloadMediaType)
	for _, l := range m.Layers {
		if l.Digest == layer.Digest && l.Annotations[signatureAnnotation] == encoded {
			return nil
		}
	}
	if len(m.Layers) >= maxSignatures {
		return fmt.Errorf("it has %d signatures already, and nobody reads more than %d", len(m.Layers), maxSignatures)
	}
	layer.Annotations = map[string]string{signatureAnnotation: encoded}
	m.Layers = append(m.Layers, layer)
	config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, layer.Digest)
	return writeSimple(ctx, r, digest, m, config, text)
}

// readSimple returns an image's manifest of simple signatures and that manifest's configuration;
// with ErrNotFound, an empty one of each.
func readSimple(ctx context.Context, r referrer.Repository, digest string) (*v1.Manifest, *v1.ConfigFile, error) {
	m := &v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1}
	config := &v1.ConfigFile{RootFS: v1.RootFS{Type: "layers", DiffIDs: []v1.Hash{}}}
	stored, err := r.Manifest(ctx, SimpleTag(digest), maxManifest)
	if err != nil {
		return m, config, err
	}
	if err := json.Unmarshal(stored.Content, m); err != nil {
		return nil, nil, fmt.Errorf("manifest of signatures %s: %w", SimpleTag(digest), err)
	}
	text, err := r.Blob(ctx, m.Config.Digest.String(), maxManifest)
	if err != nil {
		return nil, nil, fmt.Errorf("manifest of signatures %s: configuration: %w", SimpleTag(digest), err)
	}
	if err := json.Unmarshal(text, config); err != nil {
		return nil, nil, fmt.Errorf("manifest of signatures %s: configuration: %w", SimpleTag(digest), err)
	}
	return m, config, nil
}

func writeSimple(ctx context.Context, r referrer.Repository, digest string, m *v1.Manifest, config *v1.ConfigFile, text []byte) error {
	configText, err := json.Marshal(config)
	if err != nil {
		return err
	}
	m.Config = descriptor(configText, types.OCIConfigJSON)
	manifest, err := json.Marshal(m)
	if err != nil {
		return err
	}
	if len(manifest) > maxManifest {
		return fmt.Errorf("the manifest of signatures would have %d bytes, more than the %d that are read", len(manifest), maxManifest)
	}
	for _, blob := range [][]byte{text, configText} {
		if err := r.PutBlob(ctx, blob); err != nil {
			return err
		}
	}
	return r.PutManifest(ctx, referrer.Manifest{MediaType: types.OCIManifestSchema1, Content: manifest}, SimpleTag(digest))
}

// VerifySimple returns a simple signature by one of the keys that says that digest is an image of
// the repository identity. ErrUnsigned tells an image without any apart from one whose signatures
// do not count; for these, every reason is in the error.
func VerifySimple(ctx context.Context, r referrer.Repository, identity, digest string, keys []*ecdsa.PublicKey) (*Signature, error) {
	fail := func(err error) (*Signature, error) {
		return nil, fmt.Errorf("simple signature of %s in %s: %w", digest, r, err)
	}
	stored, err := r.Manifest(ctx, SimpleTag(digest), maxManifest)
	if errors.Is(err, referrer.ErrNotFound) {
		return fail(ErrUnsigned)
	}
	if err != nil {
		return fail(err)
	}
	var m v1.Manifest
	if err := json.Unmarshal(stored.Content, &m); err != nil {
		return fail(fmt.Errorf("manifest %s: %w", SimpleTag(digest), err))
	}
	if len(m.Layers) > maxSignatures {
		return fail(fmt.Errorf("manifest %s: %d layers are more than the %d allowed", SimpleTag(digest), len(m.Layers), maxSignatures))
	}
	var reasons []error
	for i, l := range m.Layers {
		key, err := verifyLayer(ctx, r, identity, digest, l, keys)
		if err == nil {
			return &Signature{Form: "simple signing", Image: digest, Key: lock.KeyID(key), Identity: identity}, nil
		}
		reasons = append(reasons, fmt.Errorf("signature %d: %w", i+1, err))
	}
	if len(reasons) == 0 {
		return fail(ErrUnsigned)
	}
	return fail(errors.Join(reasons...))
}

func verifyLayer(ctx context.Context, r referrer.Repository, identity, digest string, l v1.Descriptor, keys []*ecdsa.PublicKey) (*ecdsa.PublicKey, error) {
	if l.MediaType != payloadMediaType {
		return nil, fmt.Errorf("media type %q is not a simple signature's", l.MediaType)
	}
	raw, err := base64.StdEncoding.DecodeString(l.Annotations[signatureAnnotation])
	if err != nil || len(raw) == 0 {
		return nil, fmt.Errorf("annotation %s is not a signature in base64", signatureAnnotation)
	}
	text, err := r.Blob(ctx, l.Digest.String(), maxPayload)
	if err != nil {
		return nil, err
	}
	key, err := signer(text, raw, keys)
	if err != nil {
		return nil, err
	}
	return key, checkPayload(text, identity, digest)
}

// signer returns the key that has made a signature over text.
func signer(text, signature []byte, keys []*ecdsa.PublicKey) (*ecdsa.PublicKey, error) {
	sum := sha256.Sum256(text)
	for _, key := range keys {
		if ecdsa.VerifyASN1(key, sum[:], signature) {
			return key, nil
		}
	}
	return nil, fmt.Errorf("it is by none of the %d trusted keys", len(keys))
}

func descriptor(content []byte, mediaType types.MediaType) v1.Descriptor {
	return referrer.Manifest{MediaType: mediaType, Content: content}.Descriptor()
}
