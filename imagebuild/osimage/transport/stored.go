package transport

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// stored is an image in a layout.
type stored struct {
	blobs     blobs
	manifest  []byte
	mediaType types.MediaType
}

func (s *stored) RawManifest() ([]byte, error)        { return s.manifest, nil }
func (s *stored) MediaType() (types.MediaType, error) { return s.mediaType, nil }

func (s *stored) RawConfigFile() ([]byte, error) {
	m, err := partial.Manifest(s)
	if err != nil {
		return nil, err
	}
	return readBlob(s.blobs, m.Config.Digest)
}

func (s *stored) LayerByDigest(digest v1.Hash) (partial.CompressedLayer, error) {
	m, err := partial.Manifest(s)
	if err != nil {
		return nil, err
	}
	for _, d := range append(m.Layers, m.Config) {
		if d.Digest == digest {
			return &storedLayer{s.blobs, d}, nil
		}
	}
	return nil, fmt.Errorf("blob %s is not of this image", digest)
}

type storedLayer struct {
	blobs blobs
	desc  v1.Descriptor
}

func (l *storedLayer) Digest() (v1.Hash, error)            { return l.desc.Digest, nil }
func (l *storedLayer) Size() (int64, error)                { return l.desc.Size, nil }
func (l *storedLayer) MediaType() (types.MediaType, error) { return l.desc.MediaType, nil }

// Compressed reads the blob, whose size is checked here; its digest is whoever writes it's to check.
func (l *storedLayer) Compressed() (io.ReadCloser, error) {
	r, size, err := l.blobs.open(l.desc.Digest)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("blob %s is not there: the layout is incomplete", l.desc.Digest)
	}
	if err != nil {
		return nil, err
	}
	if size != l.desc.Size {
		r.Close()
		return nil, fmt.Errorf("blob %s has %d bytes and should have %d: the layout is damaged", l.desc.Digest, size, l.desc.Size)
	}
	return r, nil
}
