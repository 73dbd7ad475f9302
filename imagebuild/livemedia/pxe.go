package livemedia

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"slipway.build/slipway/imagebuild/livemedia/initrd"
)

// Wrap returns the content as an archive to load behind the initial RAM disk of a network boot,
// as its own file or appended.
func Wrap(c Content) ([]byte, error) {
	f, err := c.files()
	if err != nil {
		return nil, fmt.Errorf("wrap: %w", err)
	}
	b, err := initrd.Encode(f)
	if err != nil {
		return nil, fmt.Errorf("wrap: %w", err)
	}
	return append(b, make([]byte, align(int64(len(b))))...), nil
}

func align(n int64) int64 { return -n & (initrd.Align - 1) }

// Unwrap returns what an archive, or an initial RAM disk that ends with one, has for the first
// boot, and the offset at which the archive begins. The error wraps initrd.ErrNone when there is
// nothing.
func Unwrap(r io.ReaderAt, size int64) (Content, int64, error) {
	files, at, err := initrd.Last(r, size)
	if err != nil {
		return Content{}, 0, fmt.Errorf("unwrap: %w", err)
	}
	c := contentOf(files)
	if c.Config == nil && c.Network == nil {
		return Content{}, 0, fmt.Errorf("unwrap: %w: the archive that it ends with has neither %s nor %s", initrd.ErrNone, ConfigPath, NetworkDir)
	}
	return c, at, nil
}

// Append writes a copy of the initial RAM disk with the content behind it to the output, which
// may be the same file. One that has content already is only given another if force is set.
func Append(ctx context.Context, initramfs string, c Content, force bool, output string, progress func(done, total int64)) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("append to %s: %w", initramfs, err)
		}
	}()
	tail, err := Wrap(c)
	if err != nil {
		return err
	}
	if initramfs, err = filepath.EvalSymlinks(initramfs); err != nil {
		return err
	}
	in, err := openLocked(initramfs, os.O_RDONLY)
	if err != nil {
		return err
	}
	defer in.Close()
	switch _, at, err := Unwrap(in, in.size); {
	case err == nil && !force:
		return fmt.Errorf("%w: extract it first, or overwrite it by force", ErrEmbedded)
	case err == nil:
		in.size = at
	case !errors.Is(err, initrd.ErrNone) && !errors.Is(err, initrd.ErrDamaged):
		return err
	}
	end := patch{Region: Region{Offset: in.size, Length: align(in.size) + int64(len(tail))}}
	end.data = append(make([]byte, align(in.size)), tail...)
	return copied(ctx, initramfs, in, []patch{end}, func(*os.File) error { return nil }, Target{Output: output, Progress: progress})
}
