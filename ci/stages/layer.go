package stages

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"

	"slipway.build/slipway/imagebuild/lock"
)

// maxEntries bounds the entries of a layer; the largest system beneath a component has a few hundred.
const maxEntries = 1 << 16

// member is one file of an image, as it lies in its layer.
type member struct {
	image    *lock.Image
	platform *lock.Platform
	header   *tar.Header
	binary   lock.Binary
	path     string // of the unpacked file, until the visit has ended
}

// members unpacks the files that the lock names, one at a time, out of the layers that nodes pull. The
// entries of the archives are told first, whatever they are.
func members(ctx context.Context, l *lock.Lock, layout, scratch string, entry func(*lock.Image, *tar.Header) error, visit func(member) error) error {
	for i := range l.Images {
		for j := range l.Images[i].Platforms {
			if err := platformMembers(ctx, &l.Images[i], &l.Images[i].Platforms[j], layout, scratch, entry, visit); err != nil {
				return fmt.Errorf("%s %s for %s: %w", l.Images[i].Name, l.Images[i].Version, l.Images[i].Platforms[j].Platform, err)
			}
		}
	}
	return nil
}

func platformMembers(ctx context.Context, img *lock.Image, p *lock.Platform, layout, scratch string, entry func(*lock.Image, *tar.Header) error, visit func(member) error) error {
	seen := map[string]bool{}
	for _, layer := range p.Layers {
		err := eachEntry(ctx, blobPath(layout, layer.Digest), func(h *tar.Header, content io.Reader) error {
			if err := entry(img, h); err != nil {
				return err
			}
			b, named := p.File(h.Name)
			if !named || h.Typeflag != tar.TypeReg {
				return nil
			}
			seen[h.Name] = true
			path := filepath.Join(scratch, "member")
			defer os.Remove(path)
			if err := unpack(path, content, b); err != nil {
				return err
			}
			return visit(member{img, p, h, b, path})
		})
		if err != nil {
			return fmt.Errorf("layer %s: %w", layer.Digest, err)
		}
	}
	for _, f := range p.Files {
		if !seen[f.Path] {
			return fmt.Errorf("%s is in the lock and in no layer", f.Path)
		}
	}
	return nil
}

// eachEntry reads the entries of a layer with gzip or zstd.
func eachEntry(ctx context.Context, path string, visit func(*tar.Header, io.Reader) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var magic [2]byte
	if _, err := f.ReadAt(magic[:], 0); err != nil {
		return err
	}
	var plain io.Reader
	if magic == [2]byte{0x1f, 0x8b} {
		if plain, err = gzip.NewReader(f); err != nil {
			return err
		}
	} else {
		d, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20))
		if err != nil {
			return err
		}
		defer d.Close()
		plain = d
	}
	archive := tar.NewReader(plain)
	for range maxEntries {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return err
		}
		if err := visit(h, archive); err != nil {
			return err
		}
	}
	return fmt.Errorf("more than %d entries", maxEntries)
}

// unpack writes a file and holds it against the lock.
func unpack(path string, content io.Reader, want lock.Binary) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o700)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, io.LimitReader(content, want.Size+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	found, size, err := fileDigest(path)
	if err != nil {
		return err
	}
	if found != "sha256:"+want.SHA256 || size != want.Size {
		return fmt.Errorf("%s: the lock has %d bytes, sha256:%s; the layer has %d bytes, %s", want.Path, want.Size, want.SHA256, size, found)
	}
	return nil
}
