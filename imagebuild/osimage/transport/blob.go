package transport

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	ocilayout "slipway.build/slipway/imagebuild/layout"
)

// writeImage writes an image's blobs, several at a time, and its manifest.
func writeImage(ctx context.Context, dir string, image v1.Image, base *Image) error {
	manifest, err := image.Manifest()
	if err != nil {
		return err
	}
	config, err := image.RawConfigFile()
	if err != nil {
		return err
	}
	raw, err := image.RawManifest()
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(2 * runtime.GOMAXPROCS(0))
	written := map[v1.Hash]bool{}
	for n, desc := range manifest.Layers {
		if written[desc.Digest] {
			continue // an empty layer may be there twice
		}
		written[desc.Digest] = true
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := writeLayer(ctx, dir, image, base, desc); err != nil {
				return fmt.Errorf("layer %d of %d: %w", n+1, len(manifest.Layers), err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	digest, err := image.Digest()
	if err != nil {
		return err
	}
	return errors.Join(write(blobFile(dir, manifest.Config.Digest), config), write(blobFile(dir, digest), raw))
}

func writeLayer(ctx context.Context, dir string, image v1.Image, base *Image, desc v1.Descriptor) error {
	if base != nil {
		if path, there := base.Path(desc.Digest); there {
			linked, err := link(path, blobFile(dir, desc.Digest), desc)
			if linked || err != nil {
				return err
			}
		}
	}
	layer, err := image.LayerByDigest(desc.Digest)
	if err != nil {
		return err
	}
	r, err := layer.Compressed()
	if err != nil {
		return err
	}
	defer r.Close()
	return stream(ctx, blobFile(dir, desc.Digest), r, desc)
}

// blobFile is where a layout has a blob.
func blobFile(dir string, digest v1.Hash) string {
	return filepath.Join(dir, "blobs", digest.Algorithm, digest.Hex)
}

// link gives a blob a second name, and reads it to see that it is what its digest says. It
// reports false for a blob of the derived image's own, and where no link can be made.
func link(from, to string, desc v1.Descriptor) (bool, error) {
	if err := os.Link(from, to); err != nil {
		return false, nil // of another file system, or not in the base: it is read instead
	}
	st, err := os.Lstat(to)
	if err != nil {
		return true, err
	}
	if !st.Mode().IsRegular() {
		return true, fmt.Errorf("blob %s is no regular file", desc.Digest)
	}
	f, err := os.Open(to)
	if err != nil {
		return true, err
	}
	defer f.Close()
	return true, check(io.Discard, f, desc)
}

// stream writes a blob while it is read.
func stream(ctx context.Context, path string, r io.Reader, desc v1.Descriptor) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	return errors.Join(check(f, contextReader{ctx, r}, desc), f.Close())
}

// check copies a blob and holds its size and digest against its descriptor.
func check(w io.Writer, r io.Reader, desc v1.Descriptor) error {
	sum := sha256.New()
	buffer := make([]byte, 256<<10)
	// Hidden behind structs: neither side may take over the copy, which is to use this buffer.
	n, err := io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(w, sum)}, struct{ io.Reader }{io.LimitReader(r, desc.Size+1)}, buffer)
	if err != nil {
		return err
	}
	if n != desc.Size {
		return fmt.Errorf("blob %s has %s bytes and should have %d", desc.Digest, atLeast(n, desc.Size), desc.Size)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != desc.Digest.Hex {
		return fmt.Errorf("blob %s: %w", desc.Digest, &ocilayout.DigestError{Expected: desc.Digest.String(), Found: "sha256:" + got})
	}
	return nil
}

func atLeast(n, limit int64) string {
	if n > limit {
		return "more"
	}
	return fmt.Sprint(n)
}

// write makes a small file; one that is there holds the same, for it is named by what it holds.
func write(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
