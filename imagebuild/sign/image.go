package sign

import (
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"slipway.build/slipway/imagebuild/referrer"
)

// Image signs an image in both forms, in each as an image of the repository identity: the index
// that reference names and every manifest in it that is there, for podman and rpm-ostree ask for
// the signature of the one manifest that they pull, cosign for that of the index. It returns the
// digests that it has signed.
func (k *Key) Image(ctx context.Context, r referrer.Repository, identity, reference string) ([]string, error) {
	all, err := manifests(ctx, r, reference)
	if err != nil {
		return nil, fmt.Errorf("sign %s in %s: %w", reference, r, err)
	}
	var signed []string
	for _, d := range all {
		digest := d.Digest.String()
		if err := k.SimpleSign(ctx, r, identity, digest); err != nil {
			return signed, err
		}
		statement, err := SignStatement(digest)
		if err != nil {
			return signed, err
		}
		if err := k.AttachBundle(ctx, r, d, statement); err != nil {
			return signed, err
		}
		signed = append(signed, digest)
	}
	return signed, nil
}

// VerifyImage verifies both forms for everything that Image signs, and returns the signatures. It
// returns what was verified with the error that tells what was not.
func VerifyImage(ctx context.Context, r referrer.Repository, identity, reference string, keys []*ecdsa.PublicKey) ([]Signature, error) {
	all, err := manifests(ctx, r, reference)
	if err != nil {
		return nil, fmt.Errorf("verify %s in %s: %w", reference, r, err)
	}
	var found []Signature
	var problems []error
	for _, d := range all {
		simple, err1 := VerifySimple(ctx, r, identity, d.Digest.String(), keys)
		attached, err2 := VerifyBundle(ctx, r, d.Digest.String(), PredicateSign, keys)
		for _, s := range []*Signature{simple, attached} {
			if s != nil {
				found = append(found, *s)
			}
		}
		problems = append(problems, err1, err2)
	}
	return found, errors.Join(problems...)
}

// manifests returns the index or manifest that reference names, and the manifests that an index
// lists and that are there: a machine that has built one platform has only that one's.
func manifests(ctx context.Context, r referrer.Repository, reference string) ([]v1.Descriptor, error) {
	top, err := r.Manifest(ctx, reference, referrer.MaxManifest)
	if err != nil {
		return nil, err
	}
	all := []v1.Descriptor{top.Descriptor()}
	if top.MediaType != types.OCIImageIndex && top.MediaType != types.DockerManifestList {
		return all, nil
	}
	var index v1.IndexManifest
	if err := json.Unmarshal(top.Content, &index); err != nil {
		return nil, fmt.Errorf("index %s: %w", top.Digest(), err)
	}
	if len(index.Manifests) > maxSignatures {
		return nil, fmt.Errorf("index %s: %d manifests are more than the %d allowed", top.Digest(), len(index.Manifests), maxSignatures)
	}
	for _, d := range index.Manifests {
		m, err := r.Manifest(ctx, d.Digest.String(), referrer.MaxManifest)
		if errors.Is(err, referrer.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, m.Descriptor())
	}
	return all, nil
}
