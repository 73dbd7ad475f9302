package unpack

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/imagebuild/lock"
)

// Limits of what an archive may hold beside the files of the lock.
const (
	maxDirs   = 1024
	maxName   = 512
	tarMargin = 4 << 20 // bytes of headers and padding beyond the files
)

// extractor unpacks one layer. Only directories and the regular files that the lock names, at
// the sizes that it names, are accepted.
type extractor struct {
	*Target
	buffers *buffers
	dirs    int
	brought []string // the files of this layer, so far
}

// extract reads the whole archive and leaves the files written, not yet durable. Refusals are terminal; errors of the reader and of the disk are passed on.
func (x *extractor) extract(r io.Reader) error {
	archive := tar.NewReader(r)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			// Whatever follows the end mark belongs to the diff ID too; the limit still holds.
			_, err := io.Copy(io.Discard, r)
			return err
		}
		if err != nil {
			return fmt.Errorf("archive: %w", err)
		}
		if err := x.entry(archive, header); err != nil {
			return err
		}
	}
}

func (x *extractor) entry(archive *tar.Reader, header *tar.Header) error {
	name, err := entryName(header)
	if err != nil {
		return err
	}
	switch header.Typeflag {
	case tar.TypeDir:
		return x.directory(name)
	case tar.TypeReg:
		return x.file(archive, header, name)
	default:
		return fault.Terminalf("archive entry %q: type %q is refused; only regular files and directories may be in a component image", header.Name, header.Typeflag)
	}
}

func entryName(header *tar.Header) (string, error) {
	name := strings.TrimSuffix(strings.TrimPrefix(header.Name, "./"), "/")
	if name == "" && header.Typeflag == tar.TypeDir {
		return ".", nil
	}
	clean := name != "" && path.Clean(name) == name && !path.IsAbs(name) && name != ".." && !strings.HasPrefix(name, "../")
	if !clean || len(name) > maxName || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", fault.Terminalf("archive entry %.100q: not a clean path inside the image", header.Name)
	}
	return name, nil
}

func (x *extractor) directory(name string) error {
	if x.dirs++; x.dirs > maxDirs {
		return fault.Terminalf("archive: more than %d directories", maxDirs)
	}
	if x.root == nil || name == "." {
		return nil
	}
	return x.makeDirs(name)
}

func (x *extractor) makeDirs(name string) error {
	if err := x.root.MkdirAll(name, 0o755); err != nil {
		return fmt.Errorf("unpack directory %s: %w", name, err)
	}
	return nil
}

func (x *extractor) file(archive *tar.Reader, header *tar.Header, name string) error {
	wanted, ok := x.wanted[name]
	if !ok {
		return fault.Terminalf("archive entry %q: not among the image's files in the signed lock", name)
	}
	if header.Size != wanted.Size {
		return fault.Terminalf("file %s: expected %d bytes by the signed lock, found %d", name, wanted.Size, header.Size)
	}
	if !x.Claim(name) {
		return fault.Terminalf("archive entry %q: comes twice", name)
	}
	x.brought = append(x.brought, name)
	sum, err := x.content(archive, header, wanted)
	if err != nil {
		return err
	}
	if sum != wanted.SHA256 {
		return fault.Terminalf("file %s: expected sha256 %s by the signed lock, found %s", name, wanted.SHA256, sum)
	}
	return nil
}

// content hashes the file, and writes it where there is a root.
func (x *extractor) content(archive io.Reader, header *tar.Header, wanted lock.Binary) (string, error) {
	if x.root == nil {
		sum, err := x.buffers.start(nil).copyFrom(archive)
		if err != nil {
			err = fmt.Errorf("read file %s: %w", wanted.Path, err)
		}
		return sum, err
	}
	if dir := path.Dir(wanted.Path); dir != "." {
		if err := x.makeDirs(dir); err != nil {
			return "", err
		}
	}
	mode := os.FileMode(0o444)
	if header.Mode&0o111 != 0 {
		mode = 0o555
	}
	file, err := newFileWriter(x.root, wanted.Path, wanted.Size, mode)
	if err != nil {
		return "", err
	}
	defer file.abandon()
	sum, err := x.buffers.start(file).copyFrom(archive)
	if err != nil {
		return "", fmt.Errorf("unpack file %s: %w", wanted.Path, err)
	}
	return sum, file.finish()
}
