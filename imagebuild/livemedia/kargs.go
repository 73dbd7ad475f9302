package livemedia

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"slipway.build/slipway/imagebuild/livemedia/iso9660"
)

// MaxKargs is the size of the largest area for kernel arguments.
const MaxKargs = 2048

// Kargs are the areas for kernel arguments: one in the configuration of each boot loader. All
// hold the same text.
type Kargs struct {
	Default string      `json:"default"`
	Current string      `json:"current"`
	Size    int64       `json:"size"`
	Areas   []KargsArea `json:"areas"`
}

// KargsArea is the place for kernel arguments in one file.
type KargsArea struct {
	Region
	// Pad fills the area behind End, which follows the arguments.
	Pad string `json:"pad"`
	End string `json:"end"`
}

func (k *Kargs) regions() []Region {
	var all []Region
	for _, a := range k.Areas {
		all = append(all, a.Region)
	}
	return all
}

// description is KARGS.JSO.
type description struct {
	Default string `json:"default"`
	Files   []struct {
		Path   string  `json:"path"`
		Offset int64   `json:"offset"`
		Pad    *string `json:"pad"`
		End    *string `json:"end"`
	} `json:"files"`
	Size int64 `json:"size"`
}

// findKargs returns nil when the image has no areas for kernel arguments.
func findKargs(iso *iso9660.Image, r io.ReaderAt, header []byte, size int64) (*Kargs, error) {
	b, err := iso.ReadFile(kargsInfo, maxInfo)
	if errors.Is(err, fs.ErrNotExist) {
		if string(header[:8]) != kargsMagic {
			return nil, nil
		}
		return legacyKargs(r, header, size)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	var d description
	if err := decode(kargsInfo, b, &d); err != nil {
		return nil, err
	}
	k := &Kargs{Default: d.Default, Size: d.Size}
	if int64(len(d.Default)) > d.Size {
		return nil, fmt.Errorf("%w: %s: %d bytes of default arguments in areas of %d", ErrDamaged, kargsInfo, len(d.Default), d.Size)
	}
	for _, f := range d.Files {
		e, err := iso.Find(f.Path)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, kargsInfo, err)
		}
		a := KargsArea{Pad: "#", End: "\n"}
		for to, from := range map[*string]*string{&a.Pad: f.Pad, &a.End: f.End} {
			if from == nil {
				continue
			}
			if *to = *from; len(*from) != 1 || (*from)[0] >= 0x80 {
				return nil, fmt.Errorf("%w: %s: %s: pad and end are one ASCII character each", ErrDamaged, kargsInfo, f.Path)
			}
		}
		if a.Region, err = within(f.Path, e, f.Offset, max(d.Size, 0)); err != nil {
			return nil, err
		}
		k.Areas = append(k.Areas, a)
	}
	return k, k.load(r)
}

// legacyKargs reads the header: magic, length of the areas, offset of the default arguments,
// and of up to six areas, each a little-endian number of 64 bits.
func legacyKargs(r io.ReaderAt, header []byte, size int64) (*Kargs, error) {
	region, err := span(header[16:], header[8:], size)
	if err != nil {
		return nil, err
	}
	if region.Length > MaxKargs {
		return nil, fmt.Errorf("%w: areas of %d bytes for kernel arguments, at most %d", ErrDamaged, region.Length, MaxKargs)
	}
	k := &Kargs{Size: region.Length}
	if k.Default, err = (KargsArea{Region: region, Pad: "#", End: "\n"}).text(r); err != nil {
		return nil, err
	}
	for n := range maxOffsets {
		at := header[24+8*n:]
		if binary.LittleEndian.Uint64(at) == 0 {
			break
		}
		if region, err = span(at, header[8:], size); err != nil {
			return nil, err
		}
		k.Areas = append(k.Areas, KargsArea{Region: region, Pad: "#", End: "\n"})
	}
	return k, k.load(r)
}

// load reads the current arguments and checks that all areas hold the same.
func (k *Kargs) load(r io.ReaderAt) error {
	if len(k.Areas) == 0 {
		return fmt.Errorf("%w: no area for kernel arguments", ErrDamaged)
	}
	if k.Size > MaxKargs {
		return fmt.Errorf("%w: areas of %d bytes for kernel arguments, at most %d", ErrDamaged, k.Size, MaxKargs)
	}
	for i, a := range k.Areas {
		text, err := a.text(r)
		if err != nil {
			return err
		}
		if i > 0 && text != k.Current {
			return fmt.Errorf("%w: kernel arguments are %q in %s and %q in %s", ErrDiffer, k.Current, k.Areas[0].Region, text, a.Region)
		}
		k.Current = text
	}
	return nil
}

func (a KargsArea) text(r io.ReaderAt) (string, error) {
	b, err := a.read(r)
	if err != nil {
		return "", err
	}
	for _, c := range b {
		if c >= 0x80 || c < ' ' && c != '\n' && c != '\t' {
			return "", fmt.Errorf("%w: the area for kernel arguments in %s holds the byte %#x", ErrDamaged, a.Region, c)
		}
	}
	return strings.TrimSpace(strings.TrimRight(strings.TrimRight(string(b), a.Pad), a.End)), nil
}

// bytes is the area's contents for the arguments.
func (a KargsArea) bytes(args string) ([]byte, error) {
	text := args + a.End
	if int64(len(text)) > a.Length {
		return nil, fmt.Errorf("%w: kernel arguments of %d bytes with their end, the area in %s has %d", ErrTooBig, len(text), a.Region, a.Length)
	}
	return []byte(text + strings.Repeat(a.Pad, int(a.Length)-len(text))), nil
}
