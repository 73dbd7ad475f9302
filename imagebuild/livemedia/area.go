package livemedia

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"slipway.build/slipway/imagebuild/livemedia/iso9660"
)

// Errors that a caller may decide on.
var (
	// ErrNotLive is wrapped when an image is no live image of Fedora CoreOS.
	ErrNotLive = errors.New("not a live image of Fedora CoreOS")
	// ErrEmbedded is wrapped when an image has a configuration already.
	ErrEmbedded = errors.New("a configuration is embedded already")
	// ErrTooBig is wrapped when something does not fit into its area.
	ErrTooBig = errors.New("too big for its area")
	// ErrDiffer is wrapped when areas that must hold the same do not.
	ErrDiffer = errors.New("areas differ")
	// ErrDamaged is wrapped when an image's description of its areas makes no sense.
	ErrDamaged = errors.New("damaged live image")
)

// Region is a part of an image that may be overwritten, in bytes.
type Region struct {
	File   string `json:"file,omitempty"` // that it lies in; empty for a legacy image
	Offset int64  `json:"offset"`
	Length int64  `json:"length"`
}

func (r Region) end() int64 { return r.Offset + r.Length }

func (r Region) String() string {
	if r.File == "" {
		return fmt.Sprintf("bytes %d to %d", r.Offset, r.end())
	}
	return fmt.Sprintf("%s (bytes %d to %d)", r.File, r.Offset, r.end())
}

func (r Region) read(in io.ReaderAt) ([]byte, error) {
	b := make([]byte, r.Length)
	if n, err := in.ReadAt(b, r.Offset); err != nil && !(errors.Is(err, io.EOF) && n == len(b)) {
		return nil, fmt.Errorf("read %s: %w", r, err)
	}
	return b, nil
}

// within cuts a region out of a file's extent. A length below 0 means the rest of it.
func within(file string, e iso9660.Extent, offset, length int64) (Region, error) {
	if length < 0 {
		length = e.Length - offset
	}
	if offset < 0 || length <= 0 || offset > e.Length || length > e.Length-offset {
		return Region{}, fmt.Errorf("%w: %d bytes at %d do not lie within the %d bytes of %s", ErrDamaged, length, offset, e.Length, file)
	}
	return Region{File: file, Offset: e.Offset + offset, Length: length}, nil
}

// disjoint checks that regions neither overlap nor touch the system area and the volume
// descriptors.
func disjoint(regions []Region) error {
	sorted := slices.SortedFunc(slices.Values(regions), func(a, b Region) int { return int(a.Offset - b.Offset) })
	at := int64(iso9660.SystemArea + iso9660.Sector)
	for _, r := range sorted {
		if r.Offset < at {
			return fmt.Errorf("%w: %s lies over something else", ErrDamaged, r)
		}
		at = r.end()
	}
	return nil
}
