package initrd

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
)

const (
	newcMagic = "070701"
	crcMagic  = "070702" // the same with sums in the header, which nobody checks
	trailer   = "TRAILER!!!"
	headerLen = 110

	// FileMode and DirMode are the modes of what Encode writes: images.md, as coreos-installer does.
	FileMode = 0o100600
	DirMode  = 0o040755

	maxName    = 4096
	maxMembers = 10000
)

// ErrDamaged is what the error of an archive that cannot be read wraps.
var ErrDamaged = errors.New("damaged archive")

// Files are the regular files of an archive by path, without a leading slash.
type Files map[string][]byte

// Check reports the first path that cannot be in an archive.
func (f Files) Check() error {
	for _, p := range f.paths() {
		if p == "" || path.IsAbs(p) || path.Clean(p) != p || p == ".." || strings.HasPrefix(p, "../") || strings.ContainsRune(p, 0) || len(p) >= maxName || p == trailer {
			return fmt.Errorf("path %q cannot be in an initial RAM disk", p)
		}
		for dir := path.Dir(p); dir != "."; dir = path.Dir(dir) {
			if _, ok := f[dir]; ok {
				return fmt.Errorf("path %q is a file and a directory", dir)
			}
		}
	}
	return nil
}

func (f Files) paths() []string { return slices.Sorted(maps.Keys(f)) }

// cpio returns the files as an archive: sorted by path, with the directories above them, which
// the kernel does not make by itself; owner, group and times are 0.
func (f Files) cpio() []byte {
	modes := map[string]int64{}
	for p := range f {
		modes[p] = FileMode
		for dir := path.Dir(p); dir != "."; dir = path.Dir(dir) {
			modes[dir] = DirMode
		}
	}
	var b bytes.Buffer
	for _, p := range slices.Sorted(maps.Keys(modes)) {
		member(&b, p, modes[p], f[p])
	}
	member(&b, trailer, 0, nil)
	return b.Bytes()
}

func member(b *bytes.Buffer, name string, mode int64, data []byte) {
	// inode, mode, owner, group, links, time, size, four device numbers, length of the name, sum
	b.WriteString(newcMagic)
	for _, v := range []int64{0, mode, 0, 0, 1, 0, int64(len(data)), 0, 0, 0, 0, int64(len(name)) + 1, 0} {
		fmt.Fprintf(b, "%08x", v)
	}
	b.WriteString(name)
	b.WriteByte(0)
	pad(b)
	b.Write(data)
	pad(b)
}

func pad(b *bytes.Buffer) { b.Write(make([]byte, padding(int64(b.Len())))) }

func padding(n int64) int64 { return -n & 3 }

// readCPIO reads one archive up to its trailer, of at most limit bytes.
func readCPIO(r io.Reader, limit int64) (Files, error) {
	in := &counter{r: io.LimitReader(r, limit+1)}
	files := Files{}
	for range maxMembers {
		name, mode, data, err := in.member(limit)
		if in.n > limit {
			return nil, fmt.Errorf("%w: more than %d bytes unpacked", ErrDamaged, limit)
		}
		if err != nil {
			return nil, err
		}
		if name == trailer {
			return files, nil
		}
		if mode&0o170000 == 0o100000 {
			files[strings.TrimPrefix(name, "./")] = data
		}
	}
	return nil, fmt.Errorf("%w: more than %d members", ErrDamaged, maxMembers)
}

// counter counts what was read, because members are aligned to the archive's beginning.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) take(n int64) ([]byte, error) {
	var b bytes.Buffer // grows with what is there, not with what a header claims
	got, err := io.CopyN(&b, c.r, n)
	c.n += got
	if err != nil {
		return nil, fmt.Errorf("%w: it ends in the middle: %w", ErrDamaged, err)
	}
	return b.Bytes(), nil
}

func (c *counter) member(limit int64) (name string, mode int64, data []byte, err error) {
	h, err := c.take(headerLen)
	if err != nil {
		return "", 0, nil, err
	}
	if m := string(h[:6]); m != newcMagic && m != crcMagic {
		return "", 0, nil, fmt.Errorf("%w: no newc header at byte %d", ErrDamaged, c.n-headerLen)
	}
	field := func(n int) int64 {
		v, e := strconv.ParseUint(string(h[6+8*n:14+8*n]), 16, 32)
		if e != nil {
			err = fmt.Errorf("%w: field %d of the header at byte %d is no number", ErrDamaged, n, c.n-headerLen)
		}
		return int64(v)
	}
	mode, size, length := field(1), field(6), field(11)
	if err != nil {
		return "", 0, nil, err
	}
	if length < 1 || length > maxName || size > limit {
		return "", 0, nil, fmt.Errorf("%w: a member of %d bytes with a name of %d", ErrDamaged, size, length)
	}
	raw, err := c.take(length)
	if err != nil {
		return "", 0, nil, err
	}
	if _, err = c.take(padding(c.n)); err != nil {
		return "", 0, nil, err
	}
	if data, err = c.take(size); err != nil {
		return "", 0, nil, err
	}
	if name = string(bytes.TrimSuffix(raw, []byte{0})); name != trailer {
		_, err = c.take(padding(c.n))
	}
	return name, mode, data, err
}
