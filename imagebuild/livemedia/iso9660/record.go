package iso9660

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// record is one entry of a directory.
type record struct {
	Extent
	name      string
	directory bool
}

// Flags of a record, by ECMA-119, section 9.1.6.
const (
	flagDirectory   = 1 << 1
	flagMultiExtent = 1 << 7
)

// errRecord is what the error of a damaged directory wraps.
var errRecord = errors.New("damaged directory record")

// record parses the record at the beginning of b and returns its length.
func (i *Image) record(b []byte) (record, int, error) {
	n := int(b[0])
	if n < 34 || n > len(b) {
		return record{}, 0, fmt.Errorf("%w: length %d", errRecord, n)
	}
	name := int(b[32])
	if 33+name > n {
		return record{}, 0, fmt.Errorf("%w: a name of %d bytes in a record of %d", errRecord, name, n)
	}
	// Numbers stand in both byte orders; a difference between them is damage.
	block, length := binary.LittleEndian.Uint32(b[2:]), binary.LittleEndian.Uint32(b[10:])
	if block != binary.BigEndian.Uint32(b[6:]) || length != binary.BigEndian.Uint32(b[14:]) {
		return record{}, 0, fmt.Errorf("%w: its two byte orders differ", errRecord)
	}
	r := record{
		Extent:    Extent{Offset: (int64(block) + int64(b[1])) * Sector, Length: int64(length)},
		name:      strings.TrimSuffix(stem(string(b[33:33+name])), "."),
		directory: b[25]&flagDirectory != 0,
	}
	switch {
	case r.Offset+r.Length > i.size:
		return record{}, 0, fmt.Errorf("%w: %q reaches to byte %d of an image of %d", errRecord, r.name, r.Offset+r.Length, i.size)
	case b[25]&flagMultiExtent != 0:
		r.name = "" // in several pieces: none of the files that we look for is
	}
	return r, n, nil
}

// stem is the name without its version number.
func stem(name string) string {
	s, _, _ := strings.Cut(name, ";")
	return s
}

// lookup finds the entry with the name in a directory.
func (i *Image) lookup(dir record, name string) (record, error) {
	if dir.Length > maxDirectory {
		return record{}, fmt.Errorf("%w: a directory of %d bytes, at most %d", errRecord, dir.Length, maxDirectory)
	}
	b, err := i.read(dir.Extent)
	if err != nil {
		return record{}, err
	}
	for at := 0; at < len(b); {
		if b[at] == 0 { // records do not cross sectors: the rest of this one is empty
			at = (at/Sector + 1) * Sector
			continue
		}
		r, n, err := i.record(b[at:])
		if err != nil {
			return record{}, fmt.Errorf("at byte %d: %w", dir.Offset+int64(at), err)
		}
		// "." and ".." are named by the bytes 0 and 1.
		if r.name != "" && strings.EqualFold(r.name, name) {
			return r, nil
		}
		at += n
	}
	return record{}, fs.ErrNotExist
}
