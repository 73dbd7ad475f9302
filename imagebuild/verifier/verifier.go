package verifier

import (
	"fmt"
	"strings"

	"slipway.build/slipway/imagebuild/lock"
)

// Verifier judges images by a policy and the locks that count.
type Verifier struct {
	Policy Policy
	Locks  []Named
}

// Named is a lock whose signature was verified, with what to call it.
type Named struct {
	Name string // "baked lock 7"
	*lock.Lock
}

// Judge returns the reason for which pods may use the image of that name and digest, which is that of the index or manifest that
// the name leads to; an error says why they may not.
func (v *Verifier) Judge(name, digest string) (string, error) {
	ref, err := parseReference(name)
	if err != nil {
		return "", err
	}
	if !digestForm.MatchString(digest) {
		return "", fmt.Errorf("%s: %.100q is no sha256 digest", name, digest)
	}
	if ref.digest != "" && ref.digest != digest {
		return "", fmt.Errorf("%s: expected digest %s by its name, found %s", name, ref.digest, digest)
	}
	if len(v.Locks) == 0 {
		return "", fmt.Errorf("%s: there is no lock to hold it against", name)
	}
	covered := v.Policy.covers(ref.repository)
	for _, l := range v.Locks {
		img, form := find(l.Lock, digest)
		if img == nil {
			continue
		}
		if covered && !isOf(ref.repository, img.Repository) {
			return "", fmt.Errorf("%s: %s is %s %s of the %s, not this repository", name, digest, img.Repository, img.Version, l.Name)
		}
		return fmt.Sprintf("%s is the %s of %s %s in the %s", digest, form, img.Name, img.Version, l.Name), nil
	}
	switch {
	case covered:
		return "", fmt.Errorf("%s: %s is in no lock that counts here (%s); images of %s must be", name, digest, v.names(), strings.Join(v.Policy.Scopes, ", "))
	case !v.Policy.Strict:
		return fmt.Sprintf("%s is none of ours (%s), and the policy is not strict", ref.repository, strings.Join(v.Policy.Scopes, ", ")), nil
	case v.Policy.allows(ref.registry, ref.repository):
		return fmt.Sprintf("%s/%s is in the policy's list of what is allowed", ref.registry, ref.repository), nil
	}
	return "", fmt.Errorf("%s: %s is in no lock that counts here (%s), and the strict policy does not allow %s/%s", name, digest, v.names(), ref.registry, ref.repository)
}

// isOf reports whether a repository is the lock's, in a registry or beneath a path of one.
func isOf(repository, locked string) bool {
	return repository == locked || strings.HasSuffix(repository, "/"+locked)
}

// find returns the image that has an index or a manifest with that digest.
func find(l *lock.Lock, digest string) (*lock.Image, string) {
	for i := range l.Images {
		img := &l.Images[i]
		if img.Unresolved != "" {
			continue
		}
		if img.Index == digest {
			return img, "index"
		}
		for _, p := range img.Platforms {
			if p.Manifest == digest || p.Gzip.Manifest == digest {
				return img, "manifest for " + p.Platform
			}
		}
	}
	return nil, ""
}

func (v *Verifier) names() string {
	var all []string
	for _, l := range v.Locks {
		all = append(all, l.Name)
	}
	return strings.Join(all, ", ")
}
