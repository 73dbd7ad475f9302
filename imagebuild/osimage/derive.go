package osimage

import (
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	ocilayout "slipway.build/slipway/imagebuild/layout"
)

// maxLayers is how many layers containers/storage on the node can hold.
const maxLayers = 500

// Derive returns the base image with the layer on top. The base's layers stay as they are, byte for
// byte, and so do history, labels and annotations, which is what both forms of Fedora CoreOS need: in an
// image that encapsulates an ostree commit the label ostree.final-diffid goes on naming the last layer
// of that commit, and ours is a derived layer after it; in a plain image all layers are alike. The one thing that
// changes is the name of the update stream, by which Zincati would lead nodes back to the base.
func Derive(base v1.Image, layer *Layer) (v1.Image, error) {
	manifest, err := base.Manifest()
	if err != nil {
		return nil, fmt.Errorf("derive the node OS: read the base: %w", err)
	}
	config, err := base.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("derive the node OS: read the base: %w", err)
	}
	if err := checkBase(manifest, config, layer.arch); err != nil {
		return nil, fmt.Errorf("derive the node OS: %w", err)
	}
	mediaType, err := base.MediaType() // the manifest need not say it
	if err != nil {
		return nil, fmt.Errorf("derive the node OS: read the base: %w", err)
	}
	blob, err := layer.compress(mediaType)
	if err != nil {
		return nil, fmt.Errorf("derive the node OS: %w", err)
	}
	image, err := appended(base, mediaType, manifest, blob)
	if err != nil {
		return nil, fmt.Errorf("derive the node OS: append the layer: %w", err)
	}
	return image, nil
}

// finalDiffID is the label that an image with an encapsulated ostree commit has.
const finalDiffID = "ostree.final-diffid"

// checkBase refuses a base from which no node could boot or take the layer.
func checkBase(manifest *v1.Manifest, config *v1.ConfigFile, architecture string) error {
	diffIDs := config.RootFS.DiffIDs
	if len(diffIDs) != len(manifest.Layers) {
		return fmt.Errorf("the base has %d layers and %d diff IDs; ostree finds one by the other's place", len(manifest.Layers), len(diffIDs))
	}
	if len(diffIDs)+1 > maxLayers {
		return fmt.Errorf("the base has %d layers; a node can hold %d with ours", len(diffIDs), maxLayers)
	}
	for i, l := range manifest.Layers {
		if !ocilayout.IsLayer(l.MediaType) {
			return fmt.Errorf("layer %d of %d of the base is of type %q, which no node imports (known are tar, tar+gzip and tar+zstd)", i+1, len(manifest.Layers), l.MediaType)
		}
	}
	if config.Architecture != architecture || config.OS != "linux" {
		return fmt.Errorf("the base is for %s/%s; the programs of the layer are for linux/%s", config.OS, config.Architecture, architecture)
	}
	want, encapsulated := config.Config.Labels[finalDiffID]
	if !encapsulated {
		return nil
	}
	for _, id := range diffIDs {
		if id.String() == want {
			return nil
		}
	}
	return fmt.Errorf("the base's label %s names %s, which is none of its layers", finalDiffID, want)
}
