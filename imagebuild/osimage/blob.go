package osimage

import (
	"bytes"
	"compress/gzip"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"
)

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
