package layout

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"slipway.build/slipway/agent/fault"
)

// Limits of archives.
const (
	maxEntries = 1 << 16
	maxTrailer = 1 << 20 // zeros after the end mark; tar pads to 10 KiB
	maxName    = 512
	blockSize  = 512
)

// extent is where an entry's bytes are in the archive.
type extent struct{ offset, size int64 }

// contents is what an archive holds.
type contents struct {
	files  map[string]extent
	strays []string
}

// openArchive opens a layout in a tar archive: its headers are read once, its contents when they are
// asked for.
func (l *Layout) openArchive(file string, size int64) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	found, err := scan(f, size)
	if err != nil {
		return errors.Join(err, f.Close())
	}
	l.kind, l.close, l.strays = "archive", f.Close, found.strays
	l.open = func(name string) (*Blob, error) {
		at, ok := found.files[name]
		if !ok {
			return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
		}
		return &Blob{SectionReader: io.NewSectionReader(f, at.offset, at.size), close: func() error { return nil }}, nil
	}
	l.blobs = map[string]int64{}
	for name, at := range found.files {
		if path.Dir(name) == "blobs/sha256" {
			l.blobs["sha256:"+path.Base(name)] = at.size
		}
	}
	return nil
}

// scan reads the headers of an archive. Whatever could mean different things to different programs is refused:
// names that come twice or lead elsewhere, links, sparse files, an archive without its end.
func scan(r io.ReadSeeker, size int64) (*contents, error) {
	c := &contents{files: map[string]extent{}}
	archive := tar.NewReader(r)
	seen := map[string]bool{}
	var end int64 // of the last entry, padding included
	for entries := 1; ; entries++ {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if errors.Is(err, tar.ErrHeader) && entries == 1 {
			return nil, fault.Terminalf("not a whole tar archive: %w; a compressed one has to be decompressed first, for blobs are read where they lie", err)
		}
		if err != nil {
			return nil, fault.Terminalf("not a whole tar archive: after %d entries: %w", entries-1, err)
		}
		if entries > maxEntries {
			return nil, fault.Terminalf("more than %d entries", maxEntries)
		}
		offset, err := r.Seek(0, io.SeekCurrent)
		if err != nil {
			return nil, err
		}
		name, err := entryName(header)
		if err != nil {
			return nil, err
		}
		if seen[name] && header.Typeflag != tar.TypeDir {
			return nil, fault.Terminalf("archive entry %q comes twice", name)
		}
		seen[name] = true
		end = offset
		if header.Typeflag == tar.TypeReg {
			if header.Size < 0 || header.Size > size-offset {
				return nil, fault.Terminalf("archive entry %q is cut off: %d bytes of %d are there: %w", name, size-offset, header.Size, io.ErrUnexpectedEOF)
			}
			end = offset + (header.Size+blockSize-1)/blockSize*blockSize
		}
		c.add(name, header, extent{offset, header.Size})
	}
	slices.Sort(c.strays)
	return c, checkEnd(r, end, size)
}

// add files an entry.
func (c *contents) add(name string, header *tar.Header, at extent) {
	dir, base := path.Split(name)
	switch {
	case header.Typeflag == tar.TypeDir && (name == "." || name == "blobs" || name == "blobs/sha256"):
	case header.Typeflag == tar.TypeDir:
		c.strays = append(c.strays, name+"/")
	case name == "oci-layout" || name == "index.json",
		dir == "blobs/sha256/" && digestForm.MatchString("sha256:"+base):
		c.files[name] = at
	default:
		c.strays = append(c.strays, name)
	}
}

// entryName checks an entry's type and returns its clean name.
func entryName(header *tar.Header) (string, error) {
	if header.Typeflag != tar.TypeReg && header.Typeflag != tar.TypeDir {
		return "", fault.Terminalf("archive entry %.100q: type %q is refused; an OCI layout consists of files and directories", header.Name, header.Typeflag)
	}
	for record := range header.PAXRecords {
		if strings.HasPrefix(record, "GNU.sparse") {
			return "", fault.Terminalf("archive entry %.100q: sparse files are refused", header.Name)
		}
	}
	name := strings.TrimPrefix(header.Name, "./")
	if header.Typeflag == tar.TypeDir {
		name = strings.TrimSuffix(name, "/")
		if name == "" {
			return ".", nil
		}
	}
	clean := fs.ValidPath(name) && name != "." && !strings.ContainsRune(name, '\\')
	if !clean || len(name) > maxName || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", fault.Terminalf("archive entry %.100q: not a clean relative path", header.Name)
	}
	return name, nil
}

// checkEnd checks that the archive ends as archives do: two blocks of zeros at least, and nothing else
// after the last entry.
func checkEnd(r io.ReadSeeker, end, size int64) error {
	rest := size - end
	if rest < 2*blockSize {
		return fault.Terminalf("the archive is cut off: its end mark is missing")
	}
	if rest > maxTrailer {
		return fault.Terminalf("%d bytes follow the last entry of the archive", rest)
	}
	if _, err := r.Seek(end, io.SeekStart); err != nil {
		return err
	}
	tail := make([]byte, rest)
	if _, err := io.ReadFull(r, tail); err != nil {
		return fmt.Errorf("read the end of the archive: %w", err)
	}
	if slices.ContainsFunc(tail, func(b byte) bool { return b != 0 }) {
		return fault.Terminalf("bytes other than zero follow the last entry of the archive")
	}
	return nil
}
