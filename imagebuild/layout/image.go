package layout

import (
	"encoding/json"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"slipway.build/slipway/agent/fault"
)

// Image returns the image of a descriptor, which need not have more than a digest. The manifest has been read and
// its digest holds; so will the configuration's when it is read. Layers are read where they lie, as long as the layout is open: their
// size and type are checked, their digest is whoever takes the bytes's to check.
func (l *Layout) Image(desc v1.Descriptor) (v1.Image, error) {
	manifest, err := l.ReadBlob(desc.Digest.String())
	if err != nil {
		return nil, err
	}
	if n := int64(len(manifest)); desc.Size != 0 && desc.Size != n {
		return nil, fault.Terminalf("manifest %s has %d bytes and should have %d", desc.Digest, n, desc.Size)
	}
	kind := MediaType(manifest, desc.MediaType)
	if !kind.IsImage() {
		return nil, fault.Terminalf("%s is of type %q, which is no image", desc.Digest, kind)
	}
	return partial.CompressedToImage(&image{layout: l, manifest: manifest, mediaType: kind})
}

// MediaType is what a manifest says that it is, or else what its descriptor says of it.
func MediaType(manifest []byte, described types.MediaType) types.MediaType {
	var m struct{ MediaType types.MediaType }
	_ = json.Unmarshal(manifest, &m) // what is no JSON says nothing, and is refused when it is parsed
	if m.MediaType != "" {
		return m.MediaType
	}
	return described
}

// IsLayer says whether a type is one of a layer of files: a tar, plain or compressed with gzip or zstd. Others
// are not read here, and neither rpm-ostree nor bootc imports them (ostree-ext, unencapsulate.rs).
func IsLayer(t types.MediaType) bool {
	switch t {
	case types.OCILayer, types.OCIUncompressedLayer, types.OCILayerZStd, types.DockerLayer, types.DockerUncompressedLayer:
		return true
	}
	return false
}

// image is what go-containerregistry makes an image of.
type image struct {
	layout    *Layout
	manifest  []byte
	mediaType types.MediaType
}

func (i *image) RawManifest() ([]byte, error)        { return i.manifest, nil }
func (i *image) MediaType() (types.MediaType, error) { return i.mediaType, nil }

func (i *image) RawConfigFile() ([]byte, error) {
	m, err := partial.Manifest(i)
	if err != nil {
		return nil, err
	}
	return i.layout.ReadBlob(m.Config.Digest.String())
}

func (i *image) LayerByDigest(digest v1.Hash) (partial.CompressedLayer, error) {
	m, err := partial.Manifest(i)
	if err != nil {
		return nil, err
	}
	for n, d := range m.Layers {
		if d.Digest == digest {
			return &layer{i.layout, d, fmt.Sprintf("layer %d of %d", n+1, len(m.Layers))}, nil
		}
	}
	if m.Config.Digest == digest {
		return &layer{i.layout, m.Config, ""}, nil
	}
	return nil, fmt.Errorf("blob %s is not of this image", digest)
}

// layer is one blob of an image.
type layer struct {
	layout *Layout
	desc   v1.Descriptor
	called string // "layer 1 of 2"; empty for the configuration
}

func (l *layer) Digest() (v1.Hash, error)            { return l.desc.Digest, nil }
func (l *layer) Size() (int64, error)                { return l.desc.Size, nil }
func (l *layer) MediaType() (types.MediaType, error) { return l.desc.MediaType, nil }

func (l *layer) Compressed() (io.ReadCloser, error) {
	if l.called != "" && !IsLayer(l.desc.MediaType) {
		return nil, fault.Terminalf("%s is of type %q; known are tar, tar+gzip and tar+zstd", l.called, l.desc.MediaType)
	}
	b, err := l.layout.Blob(l.desc.Digest.String())
	if err != nil {
		return nil, err
	}
	if b.Size() != l.desc.Size {
		err := fault.Terminalf("blob %s has %d bytes and should have %d: the layout is damaged", l.desc.Digest, b.Size(), l.desc.Size)
		_ = b.Close()
		return nil, err
	}
	return b, nil
}
