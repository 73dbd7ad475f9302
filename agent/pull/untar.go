package pull

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
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
// the sizes that it names, are accepted; a nil root verifies without writing.
type extractor struct {
	root   *os.Root
	wanted map[string]lock.Binary
	found  *fileSet
	dirs   int
	buffer []byte
}

// extract reads the whole archive and leaves the files written and synced, not yet the
// directories. Refusals are terminal; errors of the reader and of the disk are passed on.
func (x *extractor) extract(r io.Reader) error {
	archive := tar.NewReader(r)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			// Whatever follows the end mark belongs to the diff ID too; the limit still holds.
			_, err := io.CopyBuffer(io.Discard, r, x.buffer)
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
	if !x.found.add(name) {
		return fault.Terminalf("archive entry %q: comes twice", name)
	}
	sum := sha256.New()
	var dst io.Writer = sum
	if x.root != nil {
		if dir := path.Dir(name); dir != "." {
			if err := x.makeDirs(dir); err != nil {
				return err
			}
		}
		mode := os.FileMode(0o444)
		if header.Mode&0o111 != 0 {
			mode = 0o555
		}
		file, err := newFileWriter(x.root, name, wanted.Size, mode)
		if err != nil {
			return err
		}
		defer file.abandon()
		if _, err := io.CopyBuffer(io.MultiWriter(sum, file), archive, x.buffer); err != nil {
			return fmt.Errorf("unpack file %s: %w", name, err)
		}
		if err := file.finish(); err != nil {
			return err
		}
	} else if _, err := io.CopyBuffer(dst, archive, x.buffer); err != nil {
		return fmt.Errorf("read file %s: %w", name, err)
	}
	if found := hex.EncodeToString(sum.Sum(nil)); found != wanted.SHA256 {
		return fault.Terminalf("file %s: expected sha256 %s by the signed lock, found %s", name, wanted.SHA256, found)
	}
	return nil
}
