package osimage

import (
	"bytes"
	"compress/gzip"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// blob is the compressed layer.
type blob struct {
	data      []byte
	digest    v1.Hash
	diffID    v1.Hash
	mediaType types.MediaType
}

// compress packs the layer in the form that belongs to the base's: zstd, but gzip for
// Docker's manifests, which know no other.
func (l *Layer) compress(manifest types.MediaType) (*blob, error) {
	b := &blob{mediaType: types.OCILayerZStd}
	var err error
	if manifest == types.DockerManifestSchema2 {
		b.mediaType = types.DockerLayer
		b.data, err = l.gzip()
	} else {
		b.data, err = compressFrames(l)
	}
	if err != nil {
		return nil, err
	}
	if b.digest, _, err = v1.SHA256(bytes.NewReader(b.data)); err != nil {
		return nil, err
	}
	if b.diffID, err = v1.NewHash(l.diffID); err != nil {
		return nil, err
	}
	return b, nil
}

func (l *Layer) gzip() ([]byte, error) {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := l.WriteTo(w); err != nil {
		return nil, err
	}
	err = w.Close()
	return out.Bytes(), err
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
