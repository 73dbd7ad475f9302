package bundle

import (
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/imagebuild/layout"
)

// ContainerdName is the annotation of an entry in index.json by which containerd names what it imports.
const ContainerdName = "io.containerd.image.name"

// Object is one blob, or one manifest or index, by digest.
type Object struct {
	Digest    string
	Size      int64
	MediaType string
}

// Root is an image, or what is attached to one, with everything beneath it.
type Root struct {
	Descriptor v1.Descriptor
	Repository string // "slipway/etcd"
	Tag        string // empty for a referrer, which is found by its subject
	About      string // digest that it is attached to; empty for an image
	// Manifests are the manifests and indexes beneath it, each after what it leads to; the root itself is the last.
	Manifests []Object
	Blobs     []Object
	// Sparse are the manifests that its index names and that are not here.
	Sparse []string
}

// Name is "repository:tag", or the repository and digest.
func (r *Root) Name() string {
	if r.Tag != "" {
		return r.Repository + ":" + r.Tag
	}
	return r.Repository + "@" + r.Descriptor.Digest.String()
}

func object(d v1.Descriptor) Object {
	return Object{Digest: d.Digest.String(), Size: d.Size, MediaType: string(d.MediaType)}
}

// maxDepth bounds how deep indexes lie in one another.
const maxDepth = 4

// fill finds what is beneath the root. read returns the bytes of a manifest, whose digest it has
// compared, and nil for one that is not here.
func (r *Root) fill(read func(Object) ([]byte, error)) error {
	seen := map[string]bool{}
	whole, err := r.descend(r.Descriptor, read, seen, 0)
	if err == nil && !whole {
		err = fault.Terminalf("manifest %s is missing", r.Descriptor.Digest)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", r.Name(), err)
	}
	return nil
}

func (r *Root) descend(d v1.Descriptor, read func(Object) ([]byte, error), seen map[string]bool, depth int) (bool, error) {
	o := object(d)
	if depth > maxDepth {
		return false, fault.Terminalf("more than %d indexes in one another", maxDepth)
	}
	data, err := read(o)
	if err != nil || data == nil {
		return false, err
	}
	if int64(len(data)) != o.Size {
		return false, fault.Terminalf("%s: expected %d bytes, found %d", o.Digest, o.Size, len(data))
	}
	m, err := layout.ParseObject(data)
	if err != nil {
		return false, fault.Terminalf("%s: %w", o.Digest, err)
	}
	if m.MediaType != "" {
		o.MediaType = string(m.MediaType)
	}
	for _, child := range m.Manifests {
		if digest := child.Digest.String(); !seen[digest] {
			seen[digest] = true
			here, err := r.descend(child, read, seen, depth+1)
			if err != nil {
				return false, err
			}
			if !here {
				r.Sparse = append(r.Sparse, digest)
			}
		}
	}
	for _, blob := range m.Blobs {
		if digest := blob.Digest.String(); !seen[digest] {
			seen[digest] = true
			r.Blobs = append(r.Blobs, object(blob))
		}
	}
	r.Manifests = append(r.Manifests, o)
	if m.Subject != nil && depth == 0 {
		r.About = m.Subject.Digest.String()
	}
	return true, nil
}
