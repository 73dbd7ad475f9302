package component

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"

	"slipway.build/slipway/imagebuild/lock"
	"slipway.build/slipway/imagebuild/provenance"
	"slipway.build/slipway/imagebuild/referrer"
	"slipway.build/slipway/imagebuild/sbom"
)

// evidenceFormat is raised when the documents of the same image become other ones.
const evidenceFormat = 1

// addEvidence says what is in each platform's image and how it was made, and puts the digests of
// that into the lock's entry. It is done for images in both forms, which are those for others.
func (b *builder) addEvidence(ctx context.Context, built *Built) error {
	for i := range built.Image.Platforms {
		p := &built.Image.Platforms[i]
		if p.Gzip.Manifest == "" {
			continue
		}
		key := hashKey(struct {
			Format    int
			Toolchain string
			Source    lock.Source
			Platform  lock.Platform
		}{evidenceFormat, Toolchain, built.Image.Source, *p})
		final := b.evidence.entry(key)
		e, err := b.evidenceIn(ctx, key, final, built, p)
		if err != nil {
			return err
		}
		p.Evidence = e
		for _, d := range []string{e.SPDX, e.CycloneDX, e.Provenance} {
			built.blobs[d] = final.file(strings.TrimPrefix(d, "sha256:"))
		}
	}
	return nil
}

// evidenceIn returns the documents of an entry of the cache, which it makes where they are not there.
func (b *builder) evidenceIn(ctx context.Context, key string, final entry, built *Built, p *lock.Platform) (e lock.Evidence, err error) {
	release, err := b.evidence.lock(ctx, key, nil)
	if err != nil {
		return e, err
	}
	defer release()
	if final.read(&e) && evidenceIntact(final, e) {
		return e, nil
	}
	return makeEvidence(final, built, p)
}

func evidenceIntact(e entry, v lock.Evidence) bool {
	for _, d := range []string{v.SPDX, v.CycloneDX, v.Provenance} {
		if d == "" || !hasDigest(e.file(strings.TrimPrefix(d, "sha256:")), d) {
			return false
		}
	}
	return true
}

func makeEvidence(final entry, built *Built, p *lock.Platform) (lock.Evidence, error) {
	var e lock.Evidence
	inventory, err := sbom.Read(&built.Image, p, func(path string) (sbom.Source, error) { return built.open(p.Platform, path) })
	if err != nil {
		return e, err
	}
	statement, err := provenance.New(&built.Image, p, Toolchain, inventory)
	if err != nil {
		return e, err
	}
	work, err := final.scratch()
	if err != nil {
		return e, err
	}
	defer work.discard()
	for _, document := range []struct {
		to   *string
		make func() ([]byte, error)
	}{{&e.SPDX, inventory.SPDX}, {&e.CycloneDX, inventory.CycloneDX}, {&e.Provenance, statement.Bytes}} {
		text, err := document.make()
		if err != nil {
			return e, err
		}
		d := digest.FromBytes(text)
		if err := os.WriteFile(work.file(d.Encoded()), text, 0o444); err != nil {
			return e, fmt.Errorf("keep the evidence of %s: %w", built.Image.Name, err)
		}
		*document.to = d.String()
	}
	return e, final.store(e, work)
}

// open opens a regular file of a built image.
func (b *Built) open(platform, path string) (sbom.Source, error) {
	for _, c := range b.contents[platform] {
		switch {
		case c.Path != path:
		case c.text != nil:
			return inMemory{bytes.NewReader(c.text)}, nil
		default:
			return os.Open(c.file)
		}
	}
	return nil, fmt.Errorf("the image has no %s", path)
}

type inMemory struct{ *bytes.Reader }

func (inMemory) Close() error { return nil }

// AttachEvidence attaches what is said about the images that were built in both forms to their
// indexes in an OCI layout that WriteLayout has written, as referrers.
func AttachEvidence(ctx context.Context, dir string, built []Built) error {
	for _, b := range built {
		hash, err := v1.NewHash(b.Image.Index)
		if err != nil {
			continue // unresolved
		}
		st, err := os.Stat(filepath.Join(dir, "blobs", "sha256", hash.Hex))
		if err != nil {
			return fmt.Errorf("attach evidence to %s: %w", b.Image.Name, err)
		}
		index := v1.Descriptor{MediaType: types.OCIImageIndex, Digest: hash, Size: st.Size()}
		for _, p := range b.Image.Platforms {
			e, found, err := b.evidenceOf(p)
			if err != nil {
				return err
			}
			if !found {
				continue
			}
			if err := referrer.AttachEvidence(ctx, referrer.OpenLayout(dir, b.Image.Repository), index, p.Platform, e); err != nil {
				return fmt.Errorf("attach evidence to %s: %w", b.Image.Name, err)
			}
		}
	}
	return nil
}

// evidenceOf reads the documents, where they were made here.
func (b *Built) evidenceOf(p lock.Platform) (e referrer.Evidence, found bool, err error) {
	digests := []string{p.Evidence.SPDX, p.Evidence.CycloneDX, p.Evidence.Provenance}
	if slices.ContainsFunc(digests, func(d string) bool { return b.blobs[d] == "" }) {
		return e, false, nil
	}
	for i, to := range []*[]byte{&e.SPDX, &e.CycloneDX, &e.Provenance} {
		if *to, err = os.ReadFile(b.blobs[digests[i]]); err != nil {
			return e, false, err
		}
	}
	return e, true, nil
}
