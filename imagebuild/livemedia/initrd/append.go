package initrd

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Align is what an archive's beginning in an initial RAM disk is aligned to: the kernel looks
// for a next one only there.
const Align = 4

// maxAppended is the size of the largest archive that Last reads.
const maxAppended = 32 << 20

// ErrNone is what Last's error wraps when the bytes do not end with an archive of ours.
var ErrNone = errors.New("no archive at the end")

// Last finds the xz-compressed archive that an initial RAM disk of size bytes ends with, and
// returns its offset. Only the end is read: an xz stream tells its length from behind.
func Last(r io.ReaderAt, size int64) (Files, int64, error) {
	end, err := trimZeros(r, size)
	if err != nil {
		return nil, 0, err
	}
	start, err := streamStart(r, end)
	if err != nil {
		return nil, 0, err
	}
	data, err := readAt(r, start, end-start)
	if err != nil {
		return nil, 0, err
	}
	if n, err := scanXZ(data); err != nil || n != len(data) {
		return nil, 0, fmt.Errorf("%w: an xz stream that is not well-formed", ErrNone)
	}
	files, _, err := Decode(data)
	if err != nil {
		return nil, 0, err
	}
	return files, start, nil
}

// trimZeros returns where the zeros at the end begin.
func trimZeros(r io.ReaderAt, size int64) (int64, error) {
	const block = 64 << 10
	for end := size; end > 0; {
		n := min(end, block)
		b, err := readAt(r, end-n, n)
		if err != nil {
			return 0, err
		}
		if rest := bytes.TrimRight(b, "\x00"); len(rest) > 0 {
			return end - n + int64(len(rest)), nil
		}
		end -= n
	}
	return 0, nil
}

// streamStart reads the footer and the index before end and returns where their stream begins.
func streamStart(r io.ReaderAt, end int64) (int64, error) {
	if end < xzHeader+xzFooter {
		return 0, ErrNone
	}
	footer, err := readAt(r, end-xzFooter, xzFooter)
	if err != nil {
		return 0, err
	}
	if !bytes.HasSuffix(footer, xzFooterMagic) {
		return 0, ErrNone
	}
	length := (int64(binary.LittleEndian.Uint32(footer[4:])) + 1) * 4
	if length > maxAppended || end-xzFooter-length < xzHeader {
		return 0, ErrNone
	}
	index, err := readAt(r, end-xzFooter-length, length)
	if err != nil {
		return 0, err
	}
	blocks, err := indexSum(index)
	if err != nil {
		return 0, err
	}
	start := end - xzFooter - length - blocks - xzHeader
	if blocks > maxAppended || start < 0 {
		return 0, fmt.Errorf("%w: an xz stream of more than %d MiB", ErrNone, maxAppended>>20)
	}
	return start, nil
}

// indexSum returns the length of all blocks that an index lists.
func indexSum(index []byte) (int64, error) {
	bad := fmt.Errorf("%w: an xz index that is not well-formed", ErrNone)
	if index[0] != 0 {
		return 0, bad
	}
	count, n := binary.Uvarint(index[1:])
	if n <= 0 || count > uint64(len(index)) {
		return 0, bad
	}
	var sum int64
	for rest := index[1+n:]; count > 0; count-- {
		size, n := binary.Uvarint(rest)
		if n <= 0 || size > maxAppended {
			return 0, bad
		}
		_, m := binary.Uvarint(rest[n:])
		if m <= 0 {
			return 0, bad
		}
		rest = rest[n+m:]
		if sum += int64(size) + padding(int64(size)); sum > maxAppended {
			return 0, bad
		}
	}
	return sum, nil
}

func readAt(r io.ReaderAt, at, n int64) ([]byte, error) {
	b := make([]byte, n)
	if got, err := r.ReadAt(b, at); err != nil && !(errors.Is(err, io.EOF) && int64(got) == n) {
		return nil, fmt.Errorf("read %d bytes at %d: %w", n, at, err)
	}
	return b, nil
}
