package osimage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Stream is what a derived image calls its update stream.
const Stream = "slipway"

// streams are the labels and annotations from which Zincati reads the stream that it follows.
var streams = []string{"com.coreos.stream", "fedora-coreos.stream"}

// history is the entry of our layer.
const history = `{"created":"1970-01-01T00:00:00Z","created_by":"slipway os build"}`

// image is a base with a layer on top.
type image struct {
	base             v1.Image
	layer            *blob
	mediaType        types.MediaType
	config, manifest []byte
}

// appended edits the base's own JSON, so that fields that this program does not know are kept.
func appended(base v1.Image, mediaType types.MediaType, before *v1.Manifest, layer *blob) (v1.Image, error) {
	rawConfig, err := base.RawConfigFile()
	if err != nil {
		return nil, err
	}
	rawManifest, err := base.RawManifest()
	if err != nil {
		return nil, err
	}
	i := &image{base: base, layer: layer, mediaType: mediaType}
	if i.config, err = extendConfig(rawConfig, layer.diffID); err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	if i.manifest, err = extendManifest(rawManifest, i.config, layer); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	return i, i.check(before)
}

// check reads what was written: JSON has more than one way to say a thing twice.
func (i *image) check(before *v1.Manifest) error {
	config, err := i.ConfigFile()
	if err != nil {
		return err
	}
	manifest, err := i.Manifest()
	if err != nil {
		return err
	}
	n := len(before.Layers)
	same := func(a, b v1.Descriptor) bool {
		return a.Digest == b.Digest && a.Size == b.Size && a.MediaType == b.MediaType
	}
	if len(manifest.Layers) != n+1 || len(config.RootFS.DiffIDs) != n+1 || config.RootFS.DiffIDs[n] != i.layer.diffID ||
		!slices.EqualFunc(manifest.Layers[:n], before.Layers, same) {
		return errors.New("the base's JSON is ambiguous: a field is in it twice, or in another case")
	}
	return nil
}

func extendConfig(raw []byte, diffID v1.Hash) ([]byte, error) {
	return edit(raw, func(config object) error {
		if err := config.within("rootfs", func(rootfs object) error { return rootfs.add("diff_ids", diffID) }); err != nil {
			return err
		}
		if err := config.add("history", json.RawMessage(history)); err != nil {
			return err
		}
		if config["config"] == nil {
			return nil
		}
		return config.within("config", func(c object) error { return c.renameStream("Labels") })
	})
}

func extendManifest(raw, config []byte, layer *blob) ([]byte, error) {
	digest, size, err := v1.SHA256(bytes.NewReader(config))
	if err != nil {
		return nil, err
	}
	return edit(raw, func(manifest object) error {
		err := manifest.within("config", func(c object) error {
			return errors.Join(c.set("digest", digest), c.set("size", size))
		})
		if err != nil {
			return err
		}
		own := v1.Descriptor{MediaType: layer.mediaType, Digest: layer.digest, Size: int64(len(layer.data))}
		return errors.Join(manifest.add("layers", own), manifest.renameStream("annotations"))
	})
}

func (i *image) Layers() ([]v1.Layer, error) {
	layers, err := i.base.Layers()
	if err != nil {
		return nil, err
	}
	return append(slices.Clone(layers), i.layer), nil
}

func (i *image) LayerByDigest(h v1.Hash) (v1.Layer, error) {
	if h == i.layer.digest {
		return i.layer, nil
	}
	if name, err := i.ConfigName(); err == nil && name == h {
		return partial.ConfigLayer(i)
	}
	return i.base.LayerByDigest(h)
}

func (i *image) LayerByDiffID(h v1.Hash) (v1.Layer, error) {
	if h == i.layer.diffID {
		return i.layer, nil
	}
	return i.base.LayerByDiffID(h)
}

func (i *image) MediaType() (types.MediaType, error) { return i.mediaType, nil }
func (i *image) Size() (int64, error)                { return int64(len(i.manifest)), nil }
func (i *image) RawConfigFile() ([]byte, error)      { return i.config, nil }
func (i *image) RawManifest() ([]byte, error)        { return i.manifest, nil }
func (i *image) ConfigName() (v1.Hash, error)        { return partial.ConfigName(i) }
func (i *image) ConfigFile() (*v1.ConfigFile, error) { return partial.ConfigFile(i) }
func (i *image) Digest() (v1.Hash, error)            { return partial.Digest(i) }
func (i *image) Manifest() (*v1.Manifest, error)     { return partial.Manifest(i) }
