package component

import (
	"fmt"
	"path/filepath"

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
		files := b.Image.Platforms[0].Files
		if len(files) != 1 {
			return fmt.Errorf("extract %s: the image has %d files, want one", image, len(files))
		}
		return extract(b, files[0], to)
	}
	return fmt.Errorf("extract %s: it is not among the %d images that were built", image, len(built))
}

func extract(b Built, f lock.Binary, to string) error {
	digest := "sha256:" + f.SHA256
	if hasDigest(to, digest) {
		return nil
	}
	from := filepath.Join(b.entry.root(), filepath.FromSlash(f.Path))
	if !hasDigest(from, digest) {
		return fmt.Errorf("extract %s: %s is not the binary that was built; remove %s and build again", b.Image.Name, from, b.entry.dir)
	}
	if err := copyFile(from, to, 0o755); err != nil {
		return fmt.Errorf("extract %s: %w", b.Image.Name, err)
	}
	return nil
}
