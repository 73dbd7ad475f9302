package component

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"slipway.build/slipway/imagebuild/lock"
)

// Push puts a built image into its repository of a registry: what is there already is not sent
// again, manifests come after their blobs, and the tag comes last. All that the image's index names
// must have been built here.
func Push(ctx context.Context, registry name.Registry, b Built, options ...remote.Option) error {
	repo := registry.Repo(b.Image.Repository)
	options = append(options, remote.WithContext(ctx))
	fail := func(err error) error {
		return fmt.Errorf("push %s %s to %s: %w", b.Image.Name, b.Image.Version, registry, err)
	}
	for _, p := range b.Image.Platforms {
		for _, form := range forms(&p) {
			for _, l := range append(form.Layers, lock.Layer{Digest: p.Config, DiffID: p.Config}) {
				if err := remote.WriteLayer(repo, fileLayer{l, b.blobs[l.Digest]}, options...); err != nil {
					return fail(err)
				}
			}
			text, err := os.ReadFile(b.blobs[form.Manifest])
			if err != nil {
				return fail(err)
			}
			if err := remote.Put(repo.Digest(form.Manifest), object{text, types.OCIManifestSchema1}, options...); err != nil {
				return fail(err)
			}
		}
	}
	index, err := Index(&b.Image)
	if err != nil {
		return fail(err)
	}
	if err := remote.Put(repo.Tag(b.Image.Version), object{index, types.OCIImageIndex}, options...); err != nil {
		return fail(err)
	}
	return nil
}

// forms are the manifests of a platform.
func forms(p *lock.Platform) []lock.Form {
	var all []lock.Form
	if p.Gzip.Manifest != "" {
		all = append(all, p.Gzip)
	}
	if p.Manifest != "" {
		all = append(all, lock.Form{Manifest: p.Manifest, Size: p.Size, Layers: p.Layers})
	}
	return all
}

// object is a manifest or index as bytes.
type object struct {
	text []byte
	kind types.MediaType
}

func (o object) RawManifest() ([]byte, error)        { return o.text, nil }
func (o object) MediaType() (types.MediaType, error) { return o.kind, nil }

// fileLayer is a blob in a file.
type fileLayer struct {
	lock.Layer
	file string
}

func (l fileLayer) Digest() (v1.Hash, error)           { return v1.NewHash(l.Layer.Digest) }
func (l fileLayer) DiffID() (v1.Hash, error)           { return v1.NewHash(l.Layer.DiffID) }
func (l fileLayer) Compressed() (io.ReadCloser, error) { return os.Open(l.file) }
func (l fileLayer) Uncompressed() (io.ReadCloser, error) {
	return nil, fmt.Errorf("not needed to push")
}
func (l fileLayer) MediaType() (types.MediaType, error) { return types.OCILayer, nil }
func (l fileLayer) Size() (int64, error) {
	st, err := os.Stat(l.file)
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}
