package transport

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	ocilayout "slipway.build/slipway/imagebuild/layout"
)

// Image is one platform's image, where it lies. Its layers can be read until it is closed.
type Image struct {
	v1.Image
	Reference Reference         // its digest may be that of an index that the image is in
	Name      string            // in the index of a layout: "repository:tag"; may be empty
	layout    *ocilayout.Layout // nil for one in a registry
}

// Close releases the layout or the archive that the image lies in.
func (i *Image) Close() error {
	if i.layout == nil {
		return nil
	}
	return i.layout.Close()
}

// Path returns the file of a blob, when the image lies in a layout's directory.
func (i *Image) Path(digest v1.Hash) (string, bool) {
	if i.layout == nil {
		return "", false
	}
	return i.layout.File(digest.String())
}

// Options say how to reach an image.
type Options struct {
	Architecture string            // that an index is resolved to, as Go names it
	Transport    http.RoundTripper // to registries; the default when nil
}

// Remote returns what go-containerregistry is told about a registry.
func (o Options) Remote(ctx context.Context) []remote.Option {
	opts := []remote.Option{remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain), remote.WithUserAgent("slipway")}
	if o.Transport != nil {
		opts = append(opts, remote.WithTransport(o.Transport))
	}
	return opts
}

// Open finds an image. Its manifest and configuration are read and held against their digests; its
// layers are read when they are asked for. An index is resolved to linux and the architecture. The caller closes the image.
func Open(ctx context.Context, ref Reference, opts Options) (*Image, error) {
	var i *Image
	var err error
	switch ref.Kind {
	case Registry:
		i, err = openRemote(ctx, ref, opts)
	case Layout, Archive:
		i, err = openLayout(ref, opts)
	default:
		err = errors.New("it is neither a layout nor an archive nor a registry")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ref, err)
	}
	if _, err := i.ConfigFile(); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: configuration: %w", ref, err), i.Close())
	}
	return i, nil
}

func openRemote(ctx context.Context, ref Reference, opts Options) (*Image, error) {
	desc, err := remote.Get(ref.Remote, opts.Remote(ctx)...)
	if err != nil {
		return nil, err
	}
	switch {
	case desc.MediaType.IsImage():
	case desc.MediaType.IsIndex():
		child, err := resolve(desc.Manifest, opts.Architecture)
		if err != nil {
			return nil, err
		}
		if desc, err = remote.Get(ref.Remote.Context().Digest(child.Digest.String()), opts.Remote(ctx)...); err != nil {
			return nil, err
		}
		if !desc.MediaType.IsImage() {
			return nil, fmt.Errorf("the index names %s, which is of type %q and no image", child.Digest, desc.MediaType)
		}
	default:
		return nil, fmt.Errorf("it is of type %q, which is no image", desc.MediaType)
	}
	image, err := desc.Image()
	if err != nil {
		return nil, err
	}
	return &Image{Image: image, Reference: ref}, nil
}
