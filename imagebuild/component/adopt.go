package component

import (
	"slices"
	"strings"

	"slipway.build/slipway/imagebuild/lock"
)

// Adopt completes built images by what a lock says about them and was not built here: other
// platforms, other forms, and what is said about the images. Their index is then that of all of
// it, so it is the lock's index if, and only if, what was built here is what the lock names.
// Images that the lock does not have stay as they are.
func Adopt(l *lock.Lock, built []Built) ([]Built, error) {
	out := slices.Clone(built)
	for i := range out {
		img := &out[i].Image
		locked, found := l.Find(img.Name, img.Version)
		if !found || locked.Unresolved != "" || img.Unresolved != "" {
			continue
		}
		img.Platforms = slices.Clone(img.Platforms)
		for _, p := range locked.Platforms {
			n := slices.IndexFunc(img.Platforms, func(q lock.Platform) bool { return q.Platform == p.Platform })
			if n < 0 {
				img.Platforms = append(img.Platforms, p)
				continue
			}
			own := &img.Platforms[n]
			if own.Gzip.Manifest == "" {
				own.Gzip = p.Gzip
			}
			if own.Evidence == (lock.Evidence{}) {
				own.Evidence = p.Evidence
			}
		}
		slices.SortFunc(img.Platforms, func(x, y lock.Platform) int { return strings.Compare(x.Platform, y.Platform) })
		var err error
		if img.Index, err = indexDigest(img); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Part returns the lock of those images only that were built, to compare the two.
func Part(l *lock.Lock, built []Built) *lock.Lock {
	part := l.Only()
	for _, img := range l.Images {
		if slices.ContainsFunc(built, func(b Built) bool { return b.Image.Compare(&img) == 0 }) {
			part.Images = append(part.Images, img)
		}
	}
	return part
}
