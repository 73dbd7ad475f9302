package sign

import (
	"context"
	"fmt"

	"github.com/opencontainers/go-digest"

	"slipway.build/slipway/imagebuild/referrer"
)

// Provenance signs the provenance statements that are attached to the index that reference names,
// and attaches each signed one, as a bundle, to the manifests that it is about. It signs statements
// whose digest locked accepts and no others, for a registry may hold any: give it the digests of a
// verified lock. It returns how many bundles it has attached.
func (k *Key) Provenance(ctx context.Context, r referrer.Repository, reference string, locked func(digest string) bool) (int, error) {
	all, err := manifests(ctx, r, reference)
	if err != nil {
		return 0, fmt.Errorf("sign the provenance of %s in %s: %w", reference, r, err)
	}
	index := all[0].Digest.String()
	list, err := referrer.List(ctx, r, index, referrer.TypeProvenance)
	if err != nil {
		return 0, err
	}
	attached := 0
	for _, d := range list {
		a, err := referrer.Read(ctx, r, index, d, maxBundle)
		if err != nil {
			return attached, err
		}
		if !locked(digest.FromBytes(a.Content).String()) {
			continue
		}
		s, err := parseStatement(a.Content)
		if err != nil {
			return attached, fmt.Errorf("%s: %w", d.Digest, err)
		}
		for _, m := range all[1:] {
			if !s.about(m.Digest.String()) {
				continue
			}
			if err := k.AttachBundle(ctx, r, m, a.Content); err != nil {
				return attached, err
			}
			attached++
		}
	}
	return attached, nil
}
