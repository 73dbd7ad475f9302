package transport

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Image is one platform's image, where it lies.
type Image struct {
	v1.Image
	Reference Reference // its digest may be that of an index that the image is in
	Name      string    // in the index of a layout: "repository:tag"; may be empty
	blobs     blobs     // nil for one in a registry
}

// Path returns the file of a blob, when the image lies in a layout.
func (i *Image) Path(digest v1.Hash) (string, bool) {
	if l, ok := i.blobs.(layoutDir); ok {
		return l.path(digest), true
	}
	return "", false
}

// blobs gives what a layout holds, by digest.
type blobs interface {
	open(digest v1.Hash) (io.ReadCloser, int64, error)
	index() ([]byte, error)
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

// maxManifest bounds manifests and configurations: 4 MiB, as the distribution specification has it.
const maxManifest = 4 << 20

// Open finds an image. Its manifest and configuration are read and held against their digests; its
// layers are read when they are asked for. An index is resolved to linux and the architecture.
func Open(ctx context.Context, ref Reference, opts Options) (*Image, error) {
	var i *Image
	var err error
	switch ref.Kind {
	case Registry:
		i, err = openRemote(ctx, ref, opts)
	case Layout:
		var l layoutDir
		if l, err = newLayout(ref.Path); err == nil {
			i, err = openLayout(ref, l, opts)
		}
	case Archive:
		var a *archive
		if a, err = newArchive(ref.Path); err == nil {
			i, err = openLayout(ref, a, opts)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ref, err)
	}
	if _, err := i.ConfigFile(); err != nil {
		return nil, fmt.Errorf("%s: configuration: %w", ref, err)
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

// mediaType is of a manifest that need not say it itself.
func mediaType(said types.MediaType, described types.MediaType) types.MediaType {
	if said != "" {
		return said
	}
	return described
}
