package osimage

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"slipway.build/slipway/imagebuild/osimage/transport"
)

// DeltaOptions name two OS images.
type DeltaOptions struct {
	From, To string // a layout, an archive or a reference into a registry
	Platform string // "linux/amd64" when empty
	// Transport carries out requests to registries; nil is the default one.
	Transport http.RoundTripper
}

// Delta is what a node on one OS image fetches to reach another, in bytes.
type Delta struct {
	From    string `json:"from"` // digests of the manifests
	To      string `json:"to"`
	Bytes   int64  `json:"bytes"`   // that travel: manifest, configuration, layers
	Present int64  `json:"present"` // of layers that need not
	Layers  int    `json:"layers"`  // that travel
}

// DeltaOf compares the layers of two images. A node keeps each layer by the digest of its blob and by its diff ID
// (ostree-ext, query_layer and resolve_commit_by_diffid): one that it has, compressed as it may be, does not travel.
func DeltaOf(ctx context.Context, o DeltaOptions) (*Delta, error) {
	d, err := o.compare(ctx)
	if err != nil {
		return nil, fmt.Errorf("compare the OS images %s and %s: %w", o.From, o.To, err)
	}
	return d, nil
}

func (o DeltaOptions) compare(ctx context.Context) (*Delta, error) {
	from, have, err := o.layers(ctx, o.From)
	if err != nil {
		return nil, err
	}
	to, want, err := o.layers(ctx, o.To)
	if err != nil {
		return nil, err
	}
	d := &Delta{From: from.digest.String(), To: to.digest.String()}
	if d.From == d.To {
		for _, l := range want {
			d.Present += l.size
		}
		return d, nil
	}
	there := map[v1.Hash]bool{}
	for _, l := range have {
		there[l.digest], there[l.diffID] = true, true
	}
	d.Bytes = to.size
	for _, l := range want {
		if there[l.digest] || there[l.diffID] {
			d.Present += l.size
			continue
		}
		there[l.digest], there[l.diffID] = true, true
		d.Bytes += l.size
		d.Layers++
	}
	return d, nil
}

// sized is an image or a layer.
type sized struct {
	digest, diffID v1.Hash
	size           int64 // of an image: manifest and configuration
}

func (o DeltaOptions) layers(ctx context.Context, text string) (image sized, all []sized, err error) {
	ref, err := transport.Parse(text)
	if err != nil {
		return image, nil, err
	}
	architecture := "amd64"
	if o.Platform != "" {
		architecture = strings.TrimPrefix(o.Platform, "linux/")
	}
	i, err := transport.Open(ctx, ref, transport.Options{Architecture: architecture, Transport: o.Transport})
	if err != nil {
		return image, nil, err
	}
	defer func() { err = errors.Join(err, i.Close()) }()
	if image.digest, err = i.Digest(); err != nil {
		return image, nil, err
	}
	manifest, err := i.Manifest()
	if err != nil {
		return image, nil, err
	}
	config, err := i.ConfigFile()
	if err != nil {
		return image, nil, err
	}
	if len(config.RootFS.DiffIDs) != len(manifest.Layers) {
		return image, nil, fmt.Errorf("%s has %d layers and %d diff IDs", text, len(manifest.Layers), len(config.RootFS.DiffIDs))
	}
	size, err := i.Size()
	if err != nil {
		return image, nil, err
	}
	image.size = size + manifest.Config.Size
	for n, l := range manifest.Layers {
		all = append(all, sized{l.Digest, config.RootFS.DiffIDs[n], l.Size})
	}
	return image, all, nil
}
