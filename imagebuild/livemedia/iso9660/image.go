package iso9660

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
)

const (
	// Sector is the size of a logical block in bytes; images with another size are refused.
	Sector = 2048
	// SystemArea is how many bytes precede the first volume descriptor.
	SystemArea = 16 * Sector

	maxDescriptors = 64      // before the terminator
	maxDirectory   = 4 << 20 // bytes of one directory
)

// ErrNotISO is what Open's error wraps when the bytes are no ISO 9660 image.
var ErrNotISO = errors.New("not an ISO 9660 image")

// Extent is where a file lies in the image, in bytes.
type Extent struct {
	Offset, Length int64
}

// Image is an opened ISO 9660 image.
type Image struct {
	// Volume is the volume's name.
	Volume string

	r    io.ReaderAt
	size int64
	root record
}

// Open reads the primary volume descriptor of an image of size bytes.
func Open(r io.ReaderAt, size int64) (*Image, error) {
	block := make([]byte, Sector)
	for n := int64(0); n < maxDescriptors; n++ {
		at := SystemArea + n*Sector
		if at+Sector > size {
			return nil, fmt.Errorf("%w: it ends after %d bytes, before a primary volume descriptor", ErrNotISO, size)
		}
		if _, err := r.ReadAt(block, at); err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("read volume descriptor %d: %w", n, err)
		}
		if !bytes.Equal(block[1:6], []byte("CD001")) || block[6] != 1 {
			return nil, fmt.Errorf("%w: no volume descriptor at byte %d", ErrNotISO, at)
		}
		switch block[0] {
		case 255:
			return nil, fmt.Errorf("%w: it has no primary volume descriptor", ErrNotISO)
		case 1:
			return primary(r, size, block)
		}
	}
	return nil, fmt.Errorf("%w: no primary volume descriptor among the first %d", ErrNotISO, maxDescriptors)
}

func primary(r io.ReaderAt, size int64, block []byte) (*Image, error) {
	if n := binary.LittleEndian.Uint16(block[128:]); n != Sector {
		return nil, fmt.Errorf("%w: logical blocks of %d bytes, want %d", ErrNotISO, n, Sector)
	}
	i := &Image{r: r, size: size, Volume: strings.TrimRight(string(block[40:72]), " \x00")}
	root, _, err := i.record(block[156:190])
	if err != nil {
		return nil, fmt.Errorf("root directory: %w", err)
	}
	if !root.directory {
		return nil, fmt.Errorf("%w: its root is no directory", ErrNotISO)
	}
	i.root = root
	return i, nil
}

// Find returns where the file with the path, such as images/ignition.img, lies. Letters' case
// and version numbers do not count. The error wraps fs.ErrNotExist when there is none.
func (i *Image) Find(path string) (Extent, error) {
	at := i.root
	parts := strings.Split(strings.Trim(path, "/"), "/")
	for n, part := range parts {
		if !at.directory {
			return Extent{}, fmt.Errorf("%s: %s: %w", path, strings.Join(parts[:n], "/"), fs.ErrNotExist)
		}
		next, err := i.lookup(at, part)
		if err != nil {
			return Extent{}, fmt.Errorf("%s: %w", path, err)
		}
		at = next
	}
	if at.directory {
		return Extent{}, fmt.Errorf("%s is a directory: %w", path, fs.ErrNotExist)
	}
	return at.Extent, nil
}

// ReadFile returns the contents of a file of at most limit bytes.
func (i *Image) ReadFile(path string, limit int64) ([]byte, error) {
	e, err := i.Find(path)
	if err != nil {
		return nil, err
	}
	if e.Length > limit {
		return nil, fmt.Errorf("%s has %d bytes, at most %d were expected", path, e.Length, limit)
	}
	return i.read(e)
}

func (i *Image) read(e Extent) ([]byte, error) {
	b := make([]byte, e.Length)
	if n, err := i.r.ReadAt(b, e.Offset); err != nil && !(errors.Is(err, io.EOF) && n == len(b)) {
		return nil, fmt.Errorf("read %d bytes at %d: %w", e.Length, e.Offset, err)
	}
	return b, nil
}
