package transport

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	ocilayout "slipway.build/slipway/imagebuild/layout"
)

// kinds are what the layouts call themselves.
var kinds = map[Kind]string{Layout: "directory", Archive: "archive"}

// openLayout finds the image of a reference in a layout or an archive. One that is not pinned has to be the only one for
// the architecture.
func openLayout(ref Reference, opts Options) (*Image, error) {
	l, err := ocilayout.Open(ref.Path)
	if err != nil {
		return nil, err
	}
	i, err := find(l, ref, opts)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return i, nil
}

func find(l *ocilayout.Layout, ref Reference, opts Options) (*Image, error) {
	if l.Kind() != kinds[ref.Kind] {
		return nil, fmt.Errorf("it is meant to be an OCI %s and is an OCI layout's %s", ref.Kind, l.Kind())
	}
	index, err := l.Index()
	if err != nil {
		return nil, err
	}
	desc, err := named(index, ref.Digest)
	if err != nil {
		return nil, err
	}
	called := desc.Annotations[ocilayout.RefName]
	manifest, err := l.ReadBlob(desc.Digest.String())
	if err != nil {
		return nil, err
	}
	if ocilayout.MediaType(manifest, desc.MediaType).IsIndex() {
		if desc, err = resolve(manifest, opts.Architecture); err != nil {
			return nil, err
		}
	}
	image, err := l.Image(desc)
	if err != nil {
		return nil, err
	}
	return &Image{Image: image, Reference: ref, Name: called, layout: l}, nil
}

// named is the descriptor of a digest, which may be of an image within an index.
func named(index *v1.IndexManifest, digest v1.Hash) (v1.Descriptor, error) {
	var images []v1.Descriptor
	var there []string
	for _, d := range index.Manifests {
		if d.Digest == digest {
			return d, nil
		}
		if isImage(d) {
			images = append(images, d)
			there = append(there, d.Digest.String())
		}
	}
	switch {
	case digest != v1.Hash{} && len(images) > 0:
		return v1.Descriptor{Digest: digest, MediaType: types.OCIManifestSchema1}, nil
	case len(images) == 0:
		return v1.Descriptor{}, errors.New("the layout holds no image")
	case len(images) > 1:
		return v1.Descriptor{}, fmt.Errorf("the layout holds %d images; say which with @ and its digest: %s", len(images), strings.Join(there, ", "))
	}
	return images[0], nil
}

// isImage tells images from signatures and referrers. Some writers give an image the type of its
// configuration for an artifact's.
func isImage(d v1.Descriptor) bool {
	if !d.MediaType.IsImage() && !d.MediaType.IsIndex() || signatureTag.MatchString(d.Annotations[ocilayout.RefName]) {
		return false
	}
	return d.ArtifactType == "" || types.MediaType(d.ArtifactType).IsConfig()
}

// signatureTag is the tag of a signature, and of a list of referrers.
var signatureTag = regexp.MustCompile(`(^|:)sha256-[0-9a-f]{64}(\.[a-z]+)?$`)
