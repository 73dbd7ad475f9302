package component

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// blob is a file that gets the name of its content's digest when it is complete.
type blob struct {
	file *os.File
	sum  hash.Hash
	size int64
	dir  string
}

func newBlob(dir string) (*blob, error) {
	f, err := os.CreateTemp(dir, ".blob-")
	if err != nil {
		return nil, fmt.Errorf("write blob: %w", err)
	}
	return &blob{file: f, sum: sha256.New(), dir: dir}, nil
}

func (b *blob) Write(p []byte) (int, error) {
	n, err := b.file.Write(p)
	b.sum.Write(p[:n])
	b.size += int64(n)
	return n, err
}

// commit makes the blob read-only and visible under its digest. It does not wait for the disk:
// whoever takes a blob from the cache reads it against its digest first, so one that a power cut
// has torn is made again.
func (b *blob) commit() (v1.Hash, int64, error) {
	h := v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(b.sum.Sum(nil))}
	for _, step := range []func() error{
		func() error { return b.file.Chmod(0o444) },
		func() error { return os.Rename(b.file.Name(), filepath.Join(b.dir, h.Hex)) },
	} {
		if err := step(); err != nil {
			return h, 0, fmt.Errorf("write blob %s: %w", h, err)
		}
	}
	return h, b.size, nil
}

// discard removes what was not committed; after commit it only closes the file.
func (b *blob) discard() {
	_ = os.Remove(b.file.Name())
	_ = b.file.Close()
}

func writeJSON(blobDir string, v any, mediaType types.MediaType) (v1.Descriptor, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return v1.Descriptor{}, err
	}
	blob, err := newBlob(blobDir)
	if err != nil {
		return v1.Descriptor{}, err
	}
	defer blob.discard()
	if _, err := blob.Write(b); err != nil {
		return v1.Descriptor{}, fmt.Errorf("write blob: %w", err)
	}
	hash, size, err := blob.commit()
	return v1.Descriptor{MediaType: mediaType, Digest: hash, Size: size}, err
}
