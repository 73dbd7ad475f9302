package sbom

import (
	"cmp"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"slipway.build/slipway/imagebuild/lock"
)

// Source is one file of an image, readable at any offset: an *os.File is one.
type Source interface {
	io.ReaderAt
	io.Closer
}

// Open opens a regular file of the image by its path in the lock, such as "usr/bin/etcd".
type Open func(path string) (Source, error)

// Inventory is what is in one platform's image.
type Inventory struct {
	Name       string // of the image: "kube-apiserver"
	Version    string // of the image: "v1.36.3"
	Repository string // path in a registry: "slipway/kube-apiserver"
	Platform   string // "linux/amd64"
	Manifest   string // digest of the manifest with zstd layers
	Gzip       string // digest of the manifest with gzip layers; empty where there is none
	Files      []File
	Debian     []lock.Package
}

// File is one regular file of the image.
type File struct {
	lock.Binary
	SHA1    string   // hex; SPDX 2.3 wants it of every file (8.4)
	Program *Program // nil for what is not a Go program
}

// Read makes the inventory of one platform of an image. It reads each file once and refuses one
// that is not what the lock's entry says: an inventory of other bytes would be a lie.
func Read(img *lock.Image, p *lock.Platform, open Open) (*Inventory, error) {
	inv := &Inventory{
		Name: img.Name, Version: img.Version, Repository: img.Repository,
		Platform: p.Platform, Manifest: p.Manifest, Gzip: p.Gzip.Manifest,
		Debian: slices.Clone(p.Debian),
	}
	slices.SortFunc(inv.Debian, func(a, b lock.Package) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Version, b.Version), strings.Compare(a.Path, b.Path))
	})
	inv.Debian = slices.Compact(inv.Debian)
	for _, b := range p.Files {
		f, err := readFile(b, &img.Source, open)
		if err != nil {
			return nil, fmt.Errorf("inventory of %s %s %s: %s: %w", img.Name, img.Version, p.Platform, b.Path, err)
		}
		inv.Files = append(inv.Files, f)
	}
	slices.SortFunc(inv.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return inv, nil
}

func readFile(b lock.Binary, source *lock.Source, open Open) (_ File, err error) {
	f := File{Binary: b}
	src, err := open(b.Path)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	sum1, sum256 := sha1.New(), sha256.New()
	// One byte more than there should be is enough to know that there are more.
	n, err := io.Copy(io.MultiWriter(sum1, sum256), io.NewSectionReader(src, 0, b.Size+1))
	if err != nil {
		return f, err
	}
	if got := hex.EncodeToString(sum256.Sum(nil)); n != b.Size || got != b.SHA256 {
		return f, fmt.Errorf("expected %d bytes with sha256 %s, found %d or more with %s", b.Size, b.SHA256, n, got)
	}
	f.SHA1 = hex.EncodeToString(sum1.Sum(nil))
	f.Program, err = readProgram(src, source)
	return f, err
}

// Modules returns every module that any program of the image was linked from, sorted and without
// repetitions; the standard library is not among them.
func (inv *Inventory) Modules() []Module {
	var all []Module
	for _, f := range inv.Files {
		if f.Program != nil {
			all = append(append(all, f.Program.Main), f.Program.Deps...)
		}
	}
	return sortModules(all)
}

// Toolchains returns the Go toolchains of the image's programs, such as "go1.26.7": one, unless
// programs of different origin are in it.
func (inv *Inventory) Toolchains() []string {
	var all []string
	for _, f := range inv.Files {
		if f.Program != nil {
			all = append(all, f.Program.Toolchain)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// title names the image in documents.
func (inv *Inventory) title() string {
	return fmt.Sprintf("%s %s %s", inv.Repository, inv.Version, inv.Platform)
}
