package release

import (
	"fmt"
	"slices"
	"strings"

	"slipway.build/slipway/imagebuild/lock"
)

// Explanation tells where every byte of an image comes from.
type Explanation struct {
	Image lock.Image `json:"image"` // the whole entry of the lock
	// Toolchain made the binaries of an image from source; empty for upstream's images.
	Toolchain string            `json:"toolchain,omitempty"`
	Lock      LockOrigin        `json:"lock"`
	Signature Signature         `json:"signature"`
	Accepted  []lock.Acceptance `json:"accepted,omitempty"` // what is known of it and lived with
}

// LockOrigin names the lock that an explanation is from.
type LockOrigin struct {
	Number  int64  `json:"number"`
	Digest  string `json:"digest"` // of the canonical bytes, which are signed
	Issued  string `json:"issued"`
	Expires string `json:"expires"`
}

// Explain explains the image of that name and version, or all versions of a bare name, the newest
// first.
func Explain(l *lock.Lock, signature Signature, name string) ([]Explanation, error) {
	images, err := Select(l, name)
	if err != nil {
		return nil, err
	}
	digest, err := l.Digest()
	if err != nil {
		return nil, err
	}
	var all []Explanation
	for _, img := range images {
		e := Explanation{Image: *img, Signature: signature, Lock: LockOrigin{l.Number, digest, l.Issued, l.Expires}}
		if img.Source.Module != "" {
			e.Toolchain = l.Toolchain
		}
		for _, a := range l.Accepted {
			if a.Image == img.Name || a.Image == full(img) {
				e.Accepted = append(e.Accepted, a)
			}
		}
		all = append(all, e)
	}
	return all, nil
}

// Select returns the images that NAME@VERSION, or a bare NAME, means, the newest first. It is an error
// that lists what there is if there is none.
func Select(l *lock.Lock, name string) ([]*lock.Image, error) {
	bare, version, exact := strings.Cut(name, "@")
	all := l.ByName(bare)
	if len(all) == 0 {
		return nil, fmt.Errorf("there is no image %q in the lock; it has %s", bare, words(names(l)))
	}
	slices.SortFunc(all, func(a, b *lock.Image) int { return Newer(b.Version, a.Version) })
	if !exact {
		return all, nil
	}
	var versions []string
	for _, img := range all {
		if img.Version == version {
			return []*lock.Image{img}, nil
		}
		versions = append(versions, full(img))
	}
	return nil, fmt.Errorf("there is no %s in the lock; it has %s", name, words(versions))
}
