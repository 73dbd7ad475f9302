package release

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"slipway.build/slipway/imagebuild/lock"
)

// Upstream asks registries for upstream's images.
type Upstream struct {
	// Platforms are what is taken of an image, sorted; empty means linux/amd64 and linux/arm64.
	Platforms []string
	// Transport is how registries are reached; nil is the default one, with the proxies of the
	// environment.
	Transport http.RoundTripper
}

// maxUnpacked bounds the bytes that an upstream image unpacks to, for each platform.
const maxUnpacked = 8 << 30

func (u Upstream) options(ctx context.Context) []remote.Option {
	options := []remote.Option{remote.WithContext(ctx)}
	if u.Transport != nil {
		options = append(options, remote.WithTransport(u.Transport))
	}
	return options
}

// Digest implements Registry by a HEAD request.
func (u Upstream) Digest(ctx context.Context, reference string) (string, error) {
	ref, err := name.ParseReference(reference)
	if err != nil {
		return "", fmt.Errorf("reference %s: %w", reference, err)
	}
	found, err := remote.Head(ref, u.options(ctx)...)
	if err != nil {
		return "", fmt.Errorf("ask for %s: %w", reference, err)
	}
	return found.Digest.String(), nil
}

// Resolve implements Registry. It fetches the index, and for each platform the manifest, the
// configuration and all layers: whatever it puts into the entry is a sum of bytes that it has read.
// The entry's files are those that the image's command names.
func (u Upstream) Resolve(ctx context.Context, img lock.Image) (*lock.Image, error) {
	reference, _, _ := strings.Cut(img.Source.Reference, "@")
	ref, err := name.ParseReference(reference)
	if err != nil {
		return nil, fmt.Errorf("reference %s: %w", reference, err)
	}
	got, err := remote.Get(ref, u.options(ctx)...)
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", reference, err)
	}
	if !got.MediaType.IsIndex() {
		return nil, fmt.Errorf("fetch %s: it is %s and no image index, so it does not say for which platforms it is", reference, got.MediaType)
	}
	index, err := got.ImageIndex()
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", reference, err)
	}
	out := img
	out.Unresolved, out.Index, out.Platforms = "", got.Digest.String(), nil
	out.Source = lock.Source{Reference: reference + "@" + got.Digest.String()}
	platforms := u.Platforms
	if len(platforms) == 0 {
		platforms = []string{"linux/amd64", "linux/arm64"}
	}
	for _, platform := range platforms {
		image, err := child(index, platform)
		if err != nil {
			return nil, fmt.Errorf("fetch %s: %w", reference, err)
		}
		entry, err := entryOf(ctx, image, platform)
		if err != nil {
			return nil, fmt.Errorf("fetch %s for %s: %w", reference, platform, err)
		}
		out.Platforms = append(out.Platforms, *entry)
	}
	return &out, nil
}

// child is the image for a platform.
func child(index v1.ImageIndex, platform string) (v1.Image, error) {
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	var there []string
	for _, d := range manifest.Manifests {
		if d.Platform == nil || !d.MediaType.IsImage() {
			continue
		}
		is := d.Platform.OS + "/" + d.Platform.Architecture
		if is == platform {
			return index.Image(d.Digest)
		}
		there = append(there, is)
	}
	return nil, fmt.Errorf("there is none for %s; there are %s", platform, words(there))
}

// entryOf reads an image to its last byte.
func entryOf(ctx context.Context, image v1.Image, platform string) (*lock.Platform, error) {
	digest, err := image.Digest()
	if err != nil {
		return nil, err
	}
	raw, err := image.RawManifest()
	if err != nil {
		return nil, err
	}
	manifest, err := image.Manifest()
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	if is := config.OS + "/" + config.Architecture; is != platform {
		return nil, fmt.Errorf("its configuration says %s", is)
	}
	layers, err := image.Layers()
	if err != nil {
		return nil, err
	}
	if len(layers) == 0 || len(layers) != len(manifest.Layers) || len(layers) != len(config.RootFS.DiffIDs) {
		return nil, fmt.Errorf("it has %d layers, its manifest %d and its configuration %d", len(layers), len(manifest.Layers), len(config.RootFS.DiffIDs))
	}
	entry := &lock.Platform{Platform: platform, Manifest: digest.String(), Size: int64(len(raw)), Config: manifest.Config.Digest.String()}
	t := newTree()
	left := int64(maxUnpacked)
	for i, layer := range layers {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		n, err := readLayer(layer, config.RootFS.DiffIDs[i], t, left)
		if err != nil {
			return nil, fmt.Errorf("layer %d of %d: %w", i+1, len(layers), err)
		}
		left -= n
		entry.Layers = append(entry.Layers, lock.Layer{Digest: manifest.Layers[i].Digest.String(), DiffID: config.RootFS.DiffIDs[i].String(), Size: manifest.Layers[i].Size})
	}
	entry.Files, err = t.commands(slices.Concat(config.Config.Entrypoint, config.Config.Cmd), config.Config.Env)
	return entry, err
}

// readLayer reads a layer through its digest and its diff ID, and puts its files on the tree.
func readLayer(layer v1.Layer, want v1.Hash, t *tree, limit int64) (int64, error) {
	stream, err := layer.Uncompressed() // which reads the blob against its digest and size
	if err != nil {
		return 0, err
	}
	defer stream.Close()
	sum := newSum()
	counted := &counter{from: io.TeeReader(stream, sum), left: limit}
	if err := t.add(counted); err != nil {
		return counted.n, err
	}
	if _, err := io.Copy(io.Discard, counted); err != nil { // what follows the archive's end
		return counted.n, err
	}
	if found := sum.digest(); found != want.String() {
		return counted.n, fmt.Errorf("its configuration says that it unpacks to %s; found %s", want, found)
	}
	return counted.n, nil
}
