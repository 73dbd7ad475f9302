package livemedia

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"slipway.build/slipway/imagebuild/livemedia/iso9660"
)

// Where an image describes its areas.
const (
	ignInfo     = "COREOS/IGNINFO.JSO"
	ignDefault  = "IMAGES/IGNITION.IMG"
	kargsInfo   = "COREOS/KARGS.JSO"
	featureInfo = "COREOS/FEATURES.JSO"

	maxInfo = 64 << 10
	// maxArea bounds the area of a configuration; images have 256 KiB.
	maxArea = 16 << 20
)

// The legacy headers at the end of the system area, of the images of 2020 and 2021.
const (
	ignHeader   = iso9660.SystemArea - 24
	ignMagic    = "coreiso+"
	kargsHeader = ignHeader - 72
	kargsMagic  = "coreKarg"
	maxOffsets  = 6
)

// Media is what a live ISO image says about itself.
type Media struct {
	Volume string `json:"volume"`
	// Ignition is the area for a configuration, Kargs those for kernel arguments; nil when the
	// image has none.
	Ignition Region `json:"ignition"`
	Kargs    *Kargs `json:"kargs,omitempty"`
	// Legacy says that the areas are described in the system area and not in files.
	Legacy bool `json:"legacy,omitempty"`
	// Features are what the image says of itself for coreos-installer.
	Features map[string]bool `json:"features,omitempty"`
}

// Inspect reads the description of a live image of size bytes.
func Inspect(r io.ReaderAt, size int64) (*Media, error) {
	iso, err := iso9660.Open(r, size)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotLive, err)
	}
	m := &Media{Volume: iso.Volume}
	system, err := (Region{Offset: kargsHeader, Length: iso9660.SystemArea - kargsHeader}).read(r)
	if err != nil {
		return nil, err
	}
	if err := m.findIgnition(iso, system[ignHeader-kargsHeader:], size); err != nil {
		return nil, err
	}
	if m.Kargs, err = findKargs(iso, r, system[:ignHeader-kargsHeader], size); err != nil {
		return nil, err
	}
	if b, err := iso.ReadFile(featureInfo, maxInfo); err == nil {
		// What is not true or false is not of interest here.
		_ = json.Unmarshal(b, &m.Features)
	}
	regions := []Region{m.Ignition}
	if m.Kargs != nil {
		regions = append(regions, m.Kargs.regions()...)
	}
	return m, disjoint(regions)
}

// info is IGNINFO.JSO.
type info struct {
	File   string `json:"file"`
	Offset int64  `json:"offset"`
	Length *int64 `json:"length"`
}

func (m *Media) findIgnition(iso *iso9660.Image, header []byte, size int64) error {
	where := info{File: ignDefault}
	b, err := iso.ReadFile(ignInfo, maxInfo)
	switch {
	case err == nil:
		if err := decode(ignInfo, b, &where); err != nil {
			return err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	e, err := iso.Find(where.File)
	switch {
	case err == nil:
		length := int64(-1)
		if where.Length != nil {
			length = max(*where.Length, 0)
		}
		if m.Ignition, err = within(where.File, e, where.Offset, length); err != nil {
			return err
		}
	case b != nil || !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: the area for a configuration: %w", ErrDamaged, err)
	case string(header[:8]) == ignMagic:
		m.Legacy = true
		if m.Ignition, err = span(header[8:], header[16:], size); err != nil {
			return err
		}
	default:
		return fmt.Errorf("%w: it has neither %s nor %s", ErrNotLive, ignInfo, ignDefault)
	}
	if m.Ignition.Length > maxArea {
		return fmt.Errorf("%w: an area of %d bytes for a configuration, at most %d", ErrDamaged, m.Ignition.Length, maxArea)
	}
	return nil
}

// span reads an offset and a length of a legacy header.
func span(offset, length []byte, size int64) (Region, error) {
	o, n := binary.LittleEndian.Uint64(offset), binary.LittleEndian.Uint64(length)
	if n == 0 || o > uint64(size) || n > uint64(size)-o {
		return Region{}, fmt.Errorf("%w: an area of %d bytes at %d in an image of %d", ErrDamaged, n, o, size)
	}
	return Region{Offset: int64(o), Length: int64(n)}, nil
}

func decode(name string, b []byte, v any) error {
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrDamaged, name, err)
	}
	return nil
}
