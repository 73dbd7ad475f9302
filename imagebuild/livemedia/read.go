package livemedia

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"slipway.build/slipway/imagebuild/livemedia/initrd"
)

// source is an opened image.
type source struct {
	*os.File
	size int64
}

func open(iso string, flags int) (*source, error) {
	f, err := os.OpenFile(iso, flags, 0)
	if err != nil {
		return nil, fmt.Errorf("open the image: %w", err)
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", iso)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return &source{f, st.Size()}, nil
}

// openLocked is open with a lock against other changes of the same file.
func openLocked(name string, flags int) (*source, error) {
	in, err := open(name, flags)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(in.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = in.Close()
		return nil, fmt.Errorf("%s is being changed by another process: %w", name, err)
	}
	return in, nil
}

// Open reads the description of the image and what its area for a configuration holds.
func Open(iso string) (*Media, Content, error) {
	iso, err := filepath.EvalSymlinks(iso) // the journal lies beside the image itself
	if err != nil {
		return nil, Content{}, fmt.Errorf("open the image: %w", err)
	}
	if _, err := os.Stat(journalOf(iso)); !errors.Is(err, fs.ErrNotExist) {
		return nil, Content{}, fmt.Errorf("%s: %w", iso, errInterrupted)
	}
	f, err := open(iso, os.O_RDONLY)
	if err != nil {
		return nil, Content{}, err
	}
	defer f.Close()
	m, err := Inspect(f, f.size)
	if err != nil {
		return nil, Content{}, fmt.Errorf("%s: %w", iso, err)
	}
	b, err := m.Ignition.read(f)
	if err != nil {
		return nil, Content{}, fmt.Errorf("%s: %w", iso, err)
	}
	c, err := decodeArea(b)
	if err != nil {
		return nil, Content{}, fmt.Errorf("%s: %s: %w", iso, m.Ignition, err)
	}
	return m, c, nil
}

// decodeArea reads an area. All zeros are no content.
func decodeArea(b []byte) (Content, error) {
	if zero(b) {
		return Content{}, nil
	}
	files, n, err := initrd.Decode(b)
	if err != nil {
		return Content{}, err
	}
	if n >= 0 && !zero(b[n:]) {
		return Content{}, fmt.Errorf("%w: something follows the archive", ErrDamaged)
	}
	return contentOf(files), nil
}
