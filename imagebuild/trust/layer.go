package trust

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/klauspost/compress/zstd"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/imagebuild/lock"
)

// Limits of a layer's archive. Its files are bounded by the sizes in the lock.
const (
	maxEntries = 1 << 16
	tarMargin  = 64 << 20 // headers, padding, links
	maxWindow  = 8 << 20  // of a zstd frame
)

// layerContents is what was found in a layer blob that was read once.
type layerContents struct {
	size   int64 // compressed
	digest string
	diffID string
	files  []lock.Binary
	odd    []string // entries that no image of ours has
	err    error    // why it could not be unpacked; digest and size hold all the same
}

// readLayer reads a layer blob once, with three sums at the same time: of the blob, of the archive in it, and
// of every file in the archive. At most limit bytes are unpacked. What is not one of the three
// compressions is a terminal error in the result; errors of the reader are returned.
func readLayer(ctx context.Context, blob io.Reader, limit int64) (*layerContents, error) {
	found := &layerContents{}
	sum := sha256.New()
	counted := &counter{r: &cancelled{ctx, blob}}
	source := bufio.NewReaderSize(io.TeeReader(counted, sum), 128<<10)
	found.err = found.unpack(source, limit)
	// Whatever was not unpacked belongs to the blob all the same.
	if _, err := io.Copy(io.Discard, source); err != nil {
		return nil, err
	}
	if counted.err != nil {
		return nil, counted.err
	}
	found.size, found.digest = counted.n, "sha256:"+hex.EncodeToString(sum.Sum(nil))
	return found, nil
}

func (f *layerContents) unpack(source *bufio.Reader, limit int64) error {
	plain, done, err := decompress(source)
	if err != nil {
		return err
	}
	defer done()
	sum := sha256.New()
	bounded := &io.LimitedReader{R: plain, N: limit + 1}
	archive := io.TeeReader(bounded, sum)
	if err := f.entries(archive); err != nil && bounded.N > 0 {
		return err
	}
	if _, err := io.Copy(io.Discard, archive); err != nil {
		return fault.Terminalf("decompress: %w", err)
	}
	if bounded.N <= 0 {
		return fault.Terminalf("it unpacks to more than %d bytes, which is all that the lock's files can need", limit)
	}
	f.diffID = "sha256:" + hex.EncodeToString(sum.Sum(nil))
	return nil
}

// decompress tells the compression by the first bytes, for the digest says nothing about it.
func decompress(source *bufio.Reader) (io.Reader, func(), error) {
	magic, err := source.Peek(4)
	if err != nil {
		return nil, nil, fault.Terminalf("too short for a layer: %w", err)
	}
	switch {
	case string(magic) == "\x28\xb5\x2f\xfd":
		d, err := zstd.NewReader(source, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, nil, fault.Terminalf("zstd: %w", err)
		}
		return d, d.Close, nil
	case string(magic[:2]) == "\x1f\x8b":
		d, err := gzip.NewReader(source)
		if err != nil {
			return nil, nil, fault.Terminalf("gzip: %w", err)
		}
		return d, func() { _ = d.Close() }, nil
	}
	return source, func() {}, nil
}

// entries hashes every file of the archive.
func (f *layerContents) entries(r io.Reader) error {
	archive := tar.NewReader(r)
	for n := 1; ; n++ {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fault.Terminalf("archive, entry %d: %w", n, err)
		}
		if n > maxEntries {
			return fault.Terminalf("archive: more than %d entries", maxEntries)
		}
		name := strings.TrimSuffix(strings.TrimPrefix(h.Name, "./"), "/")
		if odd := oddity(h, name); odd != "" {
			f.odd = append(f.odd, fmt.Sprintf("entry %.100q: %s", h.Name, odd))
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		sum := sha256.New()
		size, err := io.Copy(sum, archive)
		if err != nil {
			return fault.Terminalf("archive, file %.100q: %w", h.Name, err)
		}
		f.files = append(f.files, lock.Binary{Path: name, SHA256: hex.EncodeToString(sum.Sum(nil)), Size: size})
	}
}

// oddity says why an entry cannot be one of ours: nothing sets user or group on execution, nothing is a device,
// and every name is a clean path inside of the image.
func oddity(h *tar.Header, name string) string {
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeDir, tar.TypeSymlink:
	default:
		return fmt.Sprintf("type %q is no file, directory or symbolic link", h.Typeflag)
	}
	if h.FileInfo().Mode()&(fs.ModeSetuid|fs.ModeSetgid) != 0 {
		return fmt.Sprintf("mode %04o sets the user or group on execution", h.Mode)
	}
	if h.Typeflag == tar.TypeDir && (name == "" || name == ".") {
		return ""
	}
	if name == "" || path.Clean(name) != name || !fs.ValidPath(name) {
		return "not a clean path inside of the image"
	}
	return ""
}

// counter counts what was read, and keeps the first error that is not the end.
type counter struct {
	r   io.Reader
	n   int64
	err error
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if err != nil && !errors.Is(err, io.EOF) && c.err == nil {
		c.err = err
	}
	return n, err
}

// cancelled ends with its context.
type cancelled struct {
	ctx context.Context
	r   io.Reader
}

func (c *cancelled) Read(p []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, context.Cause(c.ctx)
	}
	return c.r.Read(p)
}
