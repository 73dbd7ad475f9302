package pull

import (
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"strings"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/imagebuild/lock"
)

const (
	// copyBuffer is what moves through a layer's pipeline at a time.
	copyBuffer = 256 << 10
	// maxWindow bounds the memory that a zstd frame may ask for; our own images use 8 MiB.
	maxWindow = 32 << 20
)

// decompress returns the tar stream of a layer of the given media type, and what frees it.
func decompress(media string, r io.Reader) (io.Reader, func(), error) {
	switch {
	case strings.HasSuffix(media, "+zstd"):
		dec, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, nil, fmt.Errorf("zstd: %w", err)
		}
		return dec, dec.Close, nil
	case strings.HasSuffix(media, "+gzip"), strings.HasSuffix(media, ".gzip"):
		dec, err := gzip.NewReader(bufio.NewReaderSize(r, 64<<10))
		if err != nil {
			return nil, nil, fmt.Errorf("gzip: %w", err)
		}
		return dec, func() { _ = dec.Close() }, nil
	case strings.HasSuffix(media, ".tar"):
		return r, func() {}, nil
	default:
		return nil, nil, fault.Terminalf("media type %q is not one of tar, tar+gzip, tar+zstd", media)
	}
}

// sums hashes what passes a reader; it also keeps the passing bytes' file, if there is one.
type sums struct {
	r    io.Reader
	sum  hash.Hash
	copy io.Writer
	err  error // of r, other than io.EOF
}

func (s *sums) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.sum.Write(p[:n])
	if s.copy != nil && n > 0 {
		if _, werr := s.copy.Write(p[:n]); werr != nil {
			return n, fmt.Errorf("keep blob: %w", werr)
		}
	}
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

func (s *sums) hex() string { return "sha256:" + hex.EncodeToString(s.sum.Sum(nil)) }

// unpackLayer reads one compressed layer from r in one pass: the blob's digest, decompression,
// the files. The blob goes to keep too when that is not nil. When anything does not
// match, the digest of the blob is what the error names first, because a wrong blob explains
// everything after it.
func unpackLayer(r io.Reader, want lock.Layer, media string, keep io.Writer, x *extractor, limit int64) error {
	blob := &sums{r: r, sum: sha256.New(), copy: keep}
	err := unpackStream(blob, want, media, x, limit)
	if blob.err != nil {
		return blob.err // the transport's own fault, or a length that is wrong
	}
	if err != nil && diskError(err) {
		return err
	}
	// Read on to the end, so that the digest is the blob's and its length is checked.
	if _, rest := io.CopyBuffer(io.Discard, blob, x.buffer); rest != nil {
		return rest
	}
	if found := blob.hex(); found != want.Digest {
		return fault.Terminalf("expected digest %s, found %s", want.Digest, found)
	}
	if err != nil {
		return fault.Terminalf("blob %s: %w", want.Digest, err)
	}
	return nil
}

// unpackStream decompresses and extracts. Files that are kept are compared with the signed lock one
// by one, and nothing else may be in the archive, so the stream's own digest would tell nothing
// more and cost as much as theirs; it is compared where the blob is kept for somebody else.
func unpackStream(blob io.Reader, want lock.Layer, media string, x *extractor, limit int64) error {
	stream, release, err := decompress(media, blob)
	if err != nil {
		return err
	}
	defer release()
	bounded := &limitedReader{r: stream, left: limit}
	if x.root != nil {
		return x.extract(bounded)
	}
	diff := &sums{r: bounded, sum: sha256.New()}
	if err := x.extract(diff); err != nil {
		return err
	}
	if found := diff.hex(); found != want.DiffID {
		return fault.Terminalf("expected diff ID %s, found %s", want.DiffID, found)
	}
	return nil
}

// diskError tells errors of our own disk from those of the stream; names that collide are the
// archive's fault.
func diskError(err error) bool {
	if errors.Is(err, unix.EEXIST) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.EISDIR) {
		return false
	}
	var pathErr *os.PathError
	var callErr *os.SyscallError
	return errors.As(err, &pathErr) || errors.As(err, &callErr)
}

// limitedReader refuses a stream that is longer than the signed lock allows.
type limitedReader struct {
	r    io.Reader
	left int64
}

func (l *limitedReader) Read(p []byte) (int, error) {
	if l.left <= 0 {
		if n, err := l.r.Read(p[:1]); n == 0 {
			return 0, err
		}
		return 0, fault.Terminalf("unpacks to more than the files in the signed lock")
	}
	n, err := l.r.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	return n, err
}
