package component

import (
	"fmt"

	"slipway.build/slipway/imagebuild/lock"
)

// Extract puts the only program of a built image at a path on this machine, mode 0755,
// after checking that the cache still has the bytes that the lock entry names; kubectl
// becomes bin/kubectl this way. A file that is right already is left alone.
func Extract(built []Built, image, to string) error {
	for _, b := range built {
		if b.Image.Name != image {
			continue
		}
		p, found := b.Image.For(HostPlatform())
		if !found {
			return fmt.Errorf("extract %s: it was not built for %s", image, HostPlatform())
		}
		if len(p.Files) != 1 {
			return fmt.Errorf("extract %s: the image has %d files, want one", image, len(p.Files))
		}
		return extract(b, p.Files[0], to)
	}
	return fmt.Errorf("extract %s: it is not among the %d images that were built", image, len(built))
}

func extract(b Built, f lock.Binary, to string) error {
	digest := "sha256:" + f.SHA256
	if hasDigest(to, digest) {
		return nil
	}
	from := b.File(HostPlatform(), f.Path)
	if !hasDigest(from, digest) {
		return fmt.Errorf("extract %s: %s is not the binary that was built; remove its directory and build again", b.Image.Name, from)
	}
	if err := copyFile(from, to, 0o755); err != nil {
		return fmt.Errorf("extract %s: %w", b.Image.Name, err)
	}
	return nil
}

// File is where the cache has a program of a built image; empty if it was not built.
func (b *Built) File(platform, path string) string { return b.files[platform+" "+path] }
