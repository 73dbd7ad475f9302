package bundle

import (
	"context"
	"encoding/json"
	"io"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/imagebuild/bundle/remote"
	"slipway.build/slipway/imagebuild/lock"
)

// FromRegistry is a registry that images come from: those that a lock names, by digest, with their referrers and
// signatures. A registry is never asked what there is or what is right.
type FromRegistry struct {
	*remote.Registry
	Lock      *lock.Lock
	Selection Selection
}

// Roots returns those images of the lock that the registry has.
func (f FromRegistry) Roots(ctx context.Context) ([]Root, error) {
	var images, attached []Root
	for i := range f.Lock.Images {
		img := &f.Lock.Images[i]
		if img.Unresolved != "" || !f.Selection.wants(img.Repository, img.Version) {
			continue
		}
		r, err := f.root(ctx, img.Repository, img.Version, img.Index)
		if err != nil {
			return nil, err
		}
		if r == nil {
			continue
		}
		more, err := f.attached(ctx, r)
		if err != nil {
			return nil, err
		}
		images, attached = append(images, *r), append(attached, more...)
	}
	if len(images) == 0 {
		return nil, fault.Terminalf("%s has none of the images of lock %d that were asked for", f.Registry, f.Lock.Number)
	}
	return append(images, attached...), nil
}

// root finds what is beneath a reference; nil when there is nothing.
func (f FromRegistry) root(ctx context.Context, repository, tag, reference string) (*Root, error) {
	digest, media, data, err := f.Resolve(ctx, repository, reference)
	if err != nil || data == nil {
		return nil, err
	}
	media, _, _ = strings.Cut(media, ";")
	r := &Root{Repository: repository, Tag: tag,
		Descriptor: v1.Descriptor{MediaType: types.MediaType(media), Size: int64(len(data)), Digest: v1.Hash{Algorithm: "sha256", Hex: digest[len("sha256:"):]}}}
	return r, r.fill(func(o Object) ([]byte, error) {
		if o.Digest == digest {
			return data, nil
		}
		_, _, child, err := f.Resolve(ctx, repository, o.Digest)
		return child, err
	})
}

// attached finds the referrers of an image, and its signature by the tag of the older form.
func (f FromRegistry) attached(ctx context.Context, image *Root) ([]Root, error) {
	subject := image.Descriptor.Digest.String()
	tag := strings.Replace(subject, ":", "-", 1)
	list, err := f.ListReferrers(ctx, image.Repository, subject)
	if err != nil {
		return nil, err
	}
	if list == nil {
		if _, _, list, err = f.Resolve(ctx, image.Repository, tag); err != nil {
			return nil, err
		}
	}
	var found []Root
	if list != nil {
		var index v1.IndexManifest
		if err := json.Unmarshal(list, &index); err != nil {
			return nil, fault.Terminalf("referrers of %s in %s: %w", subject, image.Repository, err)
		}
		for _, d := range index.Manifests {
			r, err := f.root(ctx, image.Repository, "", d.Digest.String())
			if err != nil {
				return nil, err
			}
			if r != nil && r.About == subject {
				r.Descriptor.ArtifactType = d.ArtifactType
				found = append(found, *r)
			}
		}
	}
	r, err := f.root(ctx, image.Repository, tag+".sig", tag+".sig")
	if err != nil || r == nil {
		return found, err
	}
	r.About = subject
	return append(found, *r), nil
}

// Open opens a blob or manifest. Its bytes are not verified.
func (f FromRegistry) Open(ctx context.Context, repository string, o Object, manifest bool) (io.ReadCloser, error) {
	return f.Registry.Open(ctx, repository, o.Digest, o.Size, manifest)
}
