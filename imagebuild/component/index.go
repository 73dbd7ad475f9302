package component

import (
	"encoding/json"
	"fmt"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"

	"slipway.build/slipway/imagebuild/lock"
)

// zstdAnnotation marks a manifest whose layers are zstd, for clients that choose one of several
// manifests of a platform (containers/image does); a client that does not know it takes the
// first, which is gzip.
const zstdAnnotation = "io.github.containers.compression.zstd"

// Index returns the bytes of an image's index, which follow from the lock alone: for each
// platform its gzip manifest, where there is one, and its zstd manifest. So a machine that has
// built one platform publishes the same index as one that has built all.
func Index(img *lock.Image) ([]byte, error) {
	index := v1.IndexManifest{
		SchemaVersion: 2, MediaType: types.OCIImageIndex,
		Annotations: annotations(img.Name, img.Version),
	}
	for _, p := range img.Platforms {
		goos, arch, _ := strings.Cut(p.Platform, "/")
		add := func(manifest string, size int64, annotations map[string]string) error {
			hash, err := v1.NewHash(manifest)
			if err != nil {
				return fmt.Errorf("index of %s %s: manifest for %s: %w", img.Name, img.Version, p.Platform, err)
			}
			if size <= 0 {
				return fmt.Errorf("index of %s %s: the size of manifest %s is not known", img.Name, img.Version, manifest)
			}
			index.Manifests = append(index.Manifests, v1.Descriptor{
				MediaType: types.OCIManifestSchema1, Digest: hash, Size: size, Annotations: annotations,
				Platform: &v1.Platform{OS: goos, Architecture: arch},
			})
			return nil
		}
		if p.Gzip.Manifest != "" {
			if err := add(p.Gzip.Manifest, p.Gzip.Size, nil); err != nil {
				return nil, err
			}
		}
		if p.Manifest == "" && p.Gzip.Manifest != "" {
			continue // packed for others only
		}
		if err := add(p.Manifest, p.Size, map[string]string{zstdAnnotation: "true"}); err != nil {
			return nil, err
		}
	}
	return json.Marshal(index)
}

// indexDigest is the digest of Index.
func indexDigest(img *lock.Image) (string, error) {
	b, err := Index(img)
	if err != nil {
		return "", err
	}
	return digest.FromBytes(b).String(), nil
}
