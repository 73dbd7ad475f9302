package lint

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
)

// Bounds of what is read of a layer, which may be anybody's.
const (
	maxEntries = 1 << 20
	maxData    = 64 << 10 // of a file that rules read
	maxBytes   = 16 << 30 // of an uncompressed layer
	headSize   = 64       // enough for an ELF header's machine
)

// read lists the files that rules look into, by the folder that they are in.
var read = []string{"usr/lib/bootc/kargs.d/", "usr/lib/tmpfiles.d/", "usr/lib/sysusers.d/"}

// ReadTar reads a layer's headers, and the few files that rules look into. It never writes, and a tar that is
// damaged is an error.
func ReadTar(r io.Reader, number int) (Layer, error) {
	l := Layer{Number: number}
	limited := &io.LimitedReader{R: r, N: maxBytes}
	tr := tar.NewReader(limited)
	for {
		h, err := tr.Next()
		if err == io.EOF {
			return l, nil
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) { // which is for a rule to say
			if limited.N == 0 {
				err = fmt.Errorf("it is larger than %d bytes", int64(maxBytes))
			}
			return l, fmt.Errorf("layer %d: after %d entries: %w", number, len(l.Entries), err)
		}
		if len(l.Entries) == maxEntries {
			return l, fmt.Errorf("layer %d: more than %d entries", number, maxEntries)
		}
		e, err := entry(h, tr)
		if err != nil {
			return l, fmt.Errorf("layer %d: %q: %w", number, h.Name, err)
		}
		l.Entries = append(l.Entries, e)
	}
}

func entry(h *tar.Header, content io.Reader) (Entry, error) {
	e := Entry{
		Name: h.Name, Path: clean(h.Name), Type: h.Typeflag, Mode: h.Mode, UID: h.Uid, GID: h.Gid,
		ModTime: h.ModTime, Link: h.Linkname, Size: h.Size,
	}
	for name := range h.PAXRecords {
		if x, ok := strings.CutPrefix(name, "SCHILY.xattr."); ok {
			e.Xattrs = append(e.Xattrs, x)
		}
	}
	slices.Sort(e.Xattrs)
	return e, e.look(content)
}

// look reads the beginning of a file, or all of one that a rule reads.
func (e *Entry) look(content io.Reader) error {
	if e.Type != tar.TypeReg {
		return nil
	}
	limit := int64(headSize)
	wanted := slices.ContainsFunc(read, func(dir string) bool { return strings.HasPrefix(e.Path, dir) })
	if wanted {
		limit = maxData
	}
	data, err := io.ReadAll(io.LimitReader(content, limit))
	if err != nil {
		return err
	}
	e.Head = bytes.Clone(data[:min(len(data), headSize)])
	if wanted && e.Size <= maxData {
		e.Data = data
	}
	return nil
}

// clean is a name's path, whose dots that lead out of the layer stay for a rule to see.
func clean(name string) string {
	p := path.Clean(strings.TrimLeft(name, "/"))
	if p == "." {
		return ""
	}
	return p
}
