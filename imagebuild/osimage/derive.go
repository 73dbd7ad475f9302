package osimage

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"
)

// maxLayers is how many layers containers/storage on the node can hold.
const maxLayers = 500

// Derive returns the base image with the layer on top. The base's layers, labels, annotations
// and history stay as they are, which is what both forms of Fedora CoreOS need: in an image
// that encapsulates an ostree commit the label ostree.final-diffid goes on naming the last layer of
// that commit, and ours is a derived layer after it; in a plain image all layers are alike.
func Derive(base v1.Image, layer *Layer) (v1.Image, error) {
	manifest, err := base.Manifest()
	if err != nil {
		return nil, fmt.Errorf("derive the node OS: read the base: %w", err)
	}
	config, err := base.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("derive the node OS: read the base: %w", err)
	}
	if err := checkBase(manifest, config); err != nil {
		return nil, fmt.Errorf("derive the node OS: %w", err)
	}
	blob, err := layer.compress(manifest.MediaType)
	if err != nil {
		return nil, fmt.Errorf("derive the node OS: %w", err)
	}
	image, err := mutate.Append(base, mutate.Addendum{
		Layer:     blob,
		History:   v1.History{Created: v1.Time{Time: time.Unix(0, 0).UTC()}, CreatedBy: "slipway os build"},
		MediaType: blob.mediaType,
	})
	if err != nil {
		return nil, fmt.Errorf("derive the node OS: append the layer: %w", err)
	}
	return image, nil
}

// finalDiffID is the label that an image with an encapsulated ostree commit has.
const finalDiffID = "ostree.final-diffid"

// checkBase refuses a base from which no node could boot or take the layer.
func checkBase(manifest *v1.Manifest, config *v1.ConfigFile) error {
	diffIDs := config.RootFS.DiffIDs
	if len(diffIDs) != len(manifest.Layers) {
		return fmt.Errorf("the base has %d layers and %d diff IDs; ostree finds one by the other's place", len(manifest.Layers), len(diffIDs))
	}
	if len(diffIDs)+1 > maxLayers {
		return fmt.Errorf("the base has %d layers; a node can hold %d with ours", len(diffIDs), maxLayers)
	}
	if config.Architecture != "amd64" || config.OS != "linux" {
		return fmt.Errorf("the base is for %s/%s; the agent is for linux/amd64", config.OS, config.Architecture)
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

// blob is the compressed layer.
type blob struct {
	data      []byte
	digest    v1.Hash
	diffID    v1.Hash
	mediaType types.MediaType
}

// compress packs the layer in the form that belongs to the base's: zstd, but gzip for
// Docker's manifests, which know no other. One thread, so that blocks are not cut by timing.
func (l *Layer) compress(manifest types.MediaType) (*blob, error) {
	var out bytes.Buffer
	var w io.WriteCloser
	var err error
	b := &blob{mediaType: types.OCILayerZStd}
	if manifest == types.DockerManifestSchema2 {
		b.mediaType = types.DockerLayer
		w, err = gzip.NewWriterLevel(&out, gzip.BestCompression)
	} else {
		w, err = zstd.NewWriter(&out, zstd.WithEncoderLevel(zstd.SpeedBetterCompression), zstd.WithEncoderConcurrency(1))
	}
	if err != nil {
		return nil, err
	}
	if _, err := l.WriteTo(w); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	b.data = out.Bytes()
	if b.digest, _, err = v1.SHA256(bytes.NewReader(b.data)); err != nil {
		return nil, err
	}
	if b.diffID, err = v1.NewHash(l.diffID); err != nil {
		return nil, err
	}
	return b, nil
}

func (b *blob) Digest() (v1.Hash, error)             { return b.digest, nil }
func (b *blob) DiffID() (v1.Hash, error)             { return b.diffID, nil }
func (b *blob) Size() (int64, error)                 { return int64(len(b.data)), nil }
func (b *blob) MediaType() (types.MediaType, error)  { return b.mediaType, nil }
func (b *blob) Compressed() (io.ReadCloser, error)   { return io.NopCloser(bytes.NewReader(b.data)), nil }
func (b *blob) Uncompressed() (io.ReadCloser, error) { return uncompressed(b) }

func uncompressed(b *blob) (io.ReadCloser, error) {
	l, err := partial.CompressedToLayer(struct{ partial.CompressedLayer }{b})
	if err != nil {
		return nil, err
	}
	return l.Uncompressed()
}
