package initrd

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// The xz format's fixed parts, by version 1.0.4 of its specification.
const (
	xzHeader = 12 // magic, flags, CRC32
	xzFooter = 12 // CRC32, backward size, flags, magic

	// maxDictionary bounds what unpacking may allocate: xz -9 asks for 64 MiB.
	maxDictionary = 64 << 20
)

var (
	xzMagic       = []byte{0xfd, '7', 'z', 'X', 'Z', 0}
	xzFooterMagic = []byte{'Y', 'Z'}
)

// checkSize is the size of the check behind each block, by its number; others have no meaning.
func checkSize(number byte) (int, bool) {
	switch number {
	case 0:
		return 0, true
	case 1: // CRC32
		return 4, true
	case 4: // CRC64
		return 8, true
	case 10: // SHA-256
		return 32, true
	}
	return 0, false
}

// scanXZ returns the length of the xz stream that data begins with. It walks over the
// stream's blocks without unpacking them, and refuses filters other than LZMA2 and dictionaries larger than
// maxDictionary: the library would allocate whatever a header asks for.
func scanXZ(data []byte) (int, error) {
	if len(data) < xzHeader || !bytes.HasPrefix(data, xzMagic) {
		return 0, fmt.Errorf("%w: no xz stream", ErrDamaged)
	}
	check, ok := checkSize(data[7])
	if !ok {
		return 0, fmt.Errorf("%w: xz check %d", ErrDamaged, data[7])
	}
	at := xzHeader
	for at < len(data) && data[at] != 0 {
		header := (int(data[at]) + 1) * 4
		if at+header > len(data) {
			return 0, cut(at)
		}
		if err := lzma2Only(data[at : at+header]); err != nil {
			return 0, err
		}
		n, err := lzma2Length(data[at+header:])
		if err != nil {
			return 0, fmt.Errorf("xz block at byte %d: %w", at, err)
		}
		at += header + n
		at += int(padding(int64(at))) + check
	}
	n, err := indexLength(data, at)
	if err != nil {
		return 0, err
	}
	at += n + xzFooter
	if at > len(data) || !bytes.Equal(data[at-2:at], xzFooterMagic) {
		return 0, cut(at)
	}
	return at, nil
}

func cut(at int) error { return fmt.Errorf("%w: the xz stream is cut off at byte %d", ErrDamaged, at) }

// lzma2Only checks a block's header: LZMA2 is its only filter, with a bounded dictionary.
func lzma2Only(header []byte) error {
	flags, rest := header[1], header[2:len(header)-4]
	if flags&0x3f != 0 {
		return fmt.Errorf("%w: an xz block with other filters than LZMA2", ErrDamaged)
	}
	for _, present := range []byte{0x40, 0x80} { // compressed and uncompressed size
		if flags&present != 0 {
			_, n := binary.Uvarint(rest)
			if n <= 0 {
				return fmt.Errorf("%w: a size in an xz block header", ErrDamaged)
			}
			rest = rest[n:]
		}
	}
	if len(rest) < 3 || rest[0] != 0x21 || rest[1] != 1 {
		return fmt.Errorf("%w: an xz block with another filter than LZMA2", ErrDamaged)
	}
	bits := rest[2]
	if bits > 40 || int64(2|bits&1)<<(bits/2+11) > maxDictionary {
		return fmt.Errorf("%w: an xz dictionary larger than %d MiB", ErrDamaged, maxDictionary>>20)
	}
	return nil
}

// lzma2Length walks over the chunks of LZMA2 data and returns their length with the end mark.
func lzma2Length(b []byte) (int, error) {
	for at := 0; at < len(b); {
		switch control := b[at]; {
		case control == 0:
			return at + 1, nil
		case control <= 2: // stored
			if at+3 > len(b) {
				return 0, cut(at)
			}
			at += 3 + int(binary.BigEndian.Uint16(b[at+1:])) + 1
		case control >= 0x80:
			if at+5 > len(b) {
				return 0, cut(at)
			}
			n := 5 + int(binary.BigEndian.Uint16(b[at+3:])) + 1
			if control >= 0xc0 { // new properties
				n++
			}
			at += n
		default:
			return 0, fmt.Errorf("%w: LZMA2 control byte %#x", ErrDamaged, control)
		}
	}
	return 0, cut(len(b))
}

// indexLength returns the length of the index at the offset.
func indexLength(data []byte, start int) (int, error) {
	at := start + 1
	number := func() uint64 {
		if at >= len(data) {
			at = len(data) + 1
			return 0
		}
		v, n := binary.Uvarint(data[at:])
		if n <= 0 {
			at = len(data) + 1
			return 0
		}
		at += n
		return v
	}
	for n := 2 * min(number(), uint64(len(data))); n > 0 && at <= len(data); n-- {
		number()
	}
	at += int(padding(int64(at-start))) + 4
	if at > len(data) {
		return 0, cut(start)
	}
	return at - start, nil
}
