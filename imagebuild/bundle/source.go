package bundle

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/imagebuild/layout"
	"slipway.build/slipway/imagebuild/trust"
)

// Selection says which images travel; the zero value is all.
type Selection struct {
	// Images are names of repositories, or repositories with tags, or the last parts of them: "slipway/etcd", "etcd",
	// "etcd:v3.6.16".
	Images []string
}

func (s Selection) wants(repository, tag string) bool {
	if len(s.Images) == 0 {
		return true
	}
	return slices.ContainsFunc(s.Images, func(want string) bool {
		repo, version, tagged := strings.Cut(want, ":")
		return (repo == repository || strings.HasSuffix(repository, "/"+repo)) && (!tagged || version == tag)
	})
}

// Layout is an OCI layout to take images from.
type Layout struct {
	*layout.Layout
	Selection Selection
	// OwnLock leaves out the lock that the layout carries: another source has the one that counts.
	OwnLock bool
}

// Roots returns the images of the layout's index that are selected, and all that is attached to them.
func (l Layout) Roots(context.Context) ([]Root, error) {
	index, err := l.Index()
	if err != nil {
		return nil, err
	}
	var images, attached []Root
	for _, d := range index.Manifests {
		repository, tag, named := strings.Cut(d.Annotations[layout.RefName], ":")
		if other := d.Annotations[layout.AttachedName]; !named && other != "" {
			repository, tag, _ = strings.Cut(other, ":")
		}
		r := Root{Descriptor: d, Repository: repository, Tag: tag, About: trust.TagSubject(tag)}
		if err := r.fill(l.read); err != nil {
			return nil, err
		}
		switch {
		case d.ArtifactType == trust.LockArtifact:
			if !l.OwnLock {
				images = append(images, r)
			}
		case r.About != "":
			attached = append(attached, r)
		case named && l.Selection.wants(repository, tag):
			images = append(images, r)
		}
	}
	if len(l.Selection.Images) > 0 && !slices.ContainsFunc(images, func(r Root) bool { return r.Descriptor.ArtifactType != trust.LockArtifact }) {
		return nil, fault.Terminalf("%s has none of the images %v", l.Path(), l.Selection.Images)
	}
	return append(images, belonging(images, attached)...), nil
}

// belonging returns what of attached is about the images, or about what is so.
func belonging(images, attached []Root) []Root {
	of := map[string]string{} // repositories by digest
	add := func(r Root) {
		for _, m := range r.Manifests {
			of[m.Digest] = r.Repository
		}
		for _, digest := range r.Sparse {
			of[digest] = r.Repository
		}
	}
	for _, r := range images {
		add(r)
	}
	var found []Root
	for more := true; more; {
		more = false
		for i := range attached {
			repository, ok := of[attached[i].About]
			if !ok {
				continue
			}
			r := attached[i]
			attached = slices.Delete(attached, i, i+1)
			r.Repository = repository
			add(r)
			found, more = append(found, r), true
			break
		}
	}
	return found
}

func (l Layout) read(o Object) ([]byte, error) {
	data, err := l.ReadBlob(o.Digest)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// Open opens a blob or manifest. Its bytes are not verified.
func (l Layout) Open(_ context.Context, _ string, o Object, _ bool) (io.ReadCloser, error) {
	b, err := l.Blob(o.Digest)
	if err != nil {
		return nil, err
	}
	if b.Size() != o.Size {
		return nil, errors.Join(fault.Terminalf("blob %s: expected %d bytes, found %d", o.Digest, o.Size, b.Size()), b.Close())
	}
	return b, nil
}

// artifact makes a manifest of blobs without a configuration.
func artifact(kind string, layers []v1.Descriptor) v1.Manifest {
	return v1.Manifest{
		SchemaVersion: 2, MediaType: "application/vnd.oci.image.manifest.v1+json", ArtifactType: kind,
		Config: v1.Descriptor{MediaType: "application/vnd.oci.empty.v1+json", Size: 2, Digest: hash([]byte("{}"))},
		Layers: layers,
	}
}

func hash(data []byte) v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: strings.TrimPrefix(layout.Digest(data), "sha256:")}
}
