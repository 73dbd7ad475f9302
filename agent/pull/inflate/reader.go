package inflate

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

const (
	inSize  = 64 << 10
	window  = 32 << 10
	outSize = window + 224<<10 + outMargin
)

// ErrHeader and ErrChecksum say that the gzip wrapping is wrong.
var (
	ErrHeader   = errors.New("inflate: not a gzip header")
	ErrChecksum = errors.New("inflate: gzip checksum or length does not match")
)

// CorruptError says that a DEFLATE stream makes no sense, and about where.
type CorruptError struct{ Offset int64 }

func (e CorruptError) Error() string {
	return fmt.Sprintf("inflate: corrupt stream near byte %d", e.Offset)
}

// Reader decompresses one stream. Its memory is all allocated at once and can be used again for
// another stream through Reset.
type Reader struct {
	src    io.Reader
	srcErr error // of src, once it had one
	read   int64 // bytes from src

	in       [inSize]byte
	pos, end int    // of what is read and not yet in bits
	bits     uint64 // the next n bits, the lowest first; the others are zero
	n        uint

	out  [outSize]byte
	base int // the oldest byte of this stream
	r, w int // what is decoded and not delivered
	sum  uint32
	size uint32 // of the member, modulo 2^32

	gzip    bool
	state   state
	last    bool // this is the last block
	stored  int  // bytes left of a stored block
	err     error
	*tables // of this block
	own     tables
}

// tables decode one block.
type tables struct {
	lengths [maxLitLen + maxDist + 4]uint8 // of the codes, literals first
	lit     [litSize]entry
	dist    [distSize]entry
}

type state int

const (
	atHeader state = iota // of a gzip member
	atBlock
	inStored
	inCodes
	atTrailer
)

// NewReader returns a reader of a gzip stream of one or more members.
func NewReader(src io.Reader) *Reader {
	r := new(Reader)
	r.Reset(src)
	return r
}

// newDeflate returns a reader of a bare DEFLATE stream.
func newDeflate(src io.Reader) *Reader {
	r := NewReader(src)
	r.gzip, r.state = false, atBlock
	return r
}

// Reset begins a new gzip stream.
func (r *Reader) Reset(src io.Reader) {
	r.src, r.srcErr, r.read = src, nil, 0
	r.pos, r.end, r.bits, r.n = 0, 0, 0, 0
	r.base, r.r, r.w = 0, 0, 0
	r.gzip, r.state, r.last, r.stored, r.err = true, atHeader, false, 0, nil
}

// Read returns decompressed bytes; io.EOF comes after the whole stream was right.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	chunk, err := r.Next()
	if len(chunk) == 0 {
		return 0, err
	}
	n := copy(p, chunk)
	r.r -= len(chunk) - n
	return n, nil
}

// Next returns the next decompressed bytes, up to 224 KiB of them, valid until the next call.
// Like Read it returns an error only without bytes.
func (r *Reader) Next() ([]byte, error) {
	for r.r == r.w {
		if r.err != nil {
			return nil, r.err
		}
		if r.w > len(r.out)-outMargin {
			r.slide()
		}
		r.err = r.step()
		r.checksum()
	}
	chunk := r.out[r.r:r.w]
	r.r = r.w
	return chunk, nil
}

// slide keeps the window and makes room for more.
func (r *Reader) slide() {
	from := max(r.w-window, r.base)
	copy(r.out[:], r.out[from:r.w])
	r.base = 0
	r.w -= from
	r.r = r.w
}

// checksum takes in what step has added.
func (r *Reader) checksum() {
	if r.gzip {
		r.sum = crc32.Update(r.sum, crc32.IEEETable, r.out[r.r:r.w])
		r.size += uint32(r.w - r.r)
	}
}

// step goes on until there is something to deliver, or a part of the stream ends.
func (r *Reader) step() error {
	switch r.state {
	case atHeader:
		return r.header()
	case atBlock:
		return r.block()
	case inStored:
		return r.copyStored()
	case inCodes:
		return r.codes()
	default:
		return r.trailer()
	}
}

func (r *Reader) codes() error {
	end := r.fast()
	if end == wantInput {
		if r.srcErr == nil {
			r.fill()
			return nil
		}
		var err error
		if end, err = r.slow(); err != nil {
			return err
		}
	}
	switch end {
	case blockEnd:
		r.endBlock()
	case badCode, badDistance:
		return r.corrupt()
	}
	return nil
}

func (r *Reader) endBlock() {
	r.state = atBlock
	if r.last {
		r.state = atTrailer
	}
}

func (r *Reader) corrupt() error {
	return CorruptError{r.read - int64(r.end-r.pos) - int64(r.n/8)}
}

// fill reads more input behind what is not used yet, at least one byte unless srcErr is set.
func (r *Reader) fill() {
	whole := int(r.n / 8)
	r.pos -= whole
	r.n -= uint(whole) * 8
	r.bits &= 1<<r.n - 1
	r.end = copy(r.in[:], r.in[r.pos:r.end])
	r.pos = 0
	for tries := 0; r.srcErr == nil; tries++ {
		n, err := r.src.Read(r.in[r.end:])
		r.end += n
		r.read += int64(n)
		if err == io.EOF {
			err = io.ErrUnexpectedEOF // wherever the stream goes on
		}
		r.srcErr = err
		if n > 0 {
			return
		}
		if tries == 100 {
			r.srcErr = io.ErrNoProgress
		}
	}
}

// byte moves one byte of input into bits.
func (r *Reader) byte() error {
	if r.pos == r.end {
		if r.srcErr == nil {
			r.fill()
		}
		if r.pos == r.end {
			return r.srcErr
		}
	}
	r.bits |= uint64(r.in[r.pos]) << r.n
	r.pos++
	r.n += 8
	return nil
}

// take reads up to 32 bits.
func (r *Reader) take(count uint) (uint32, error) {
	for r.n < count {
		if err := r.byte(); err != nil {
			return 0, err
		}
	}
	v := uint32(r.bits & (1<<count - 1))
	r.bits >>= count
	r.n -= count
	return v, nil
}

// align drops the bits up to the next whole byte.
func (r *Reader) align() {
	r.bits >>= r.n % 8
	r.n -= r.n % 8
}

func (r *Reader) trailer() error {
	if !r.gzip {
		return io.EOF
	}
	r.align()
	sum, err := r.take(32)
	if err != nil {
		return err
	}
	size, err := r.take(32)
	if err != nil {
		return err
	}
	if sum != r.sum || size != r.size {
		return ErrChecksum
	}
	r.state = atHeader
	return r.more() // another member may follow; a clean end is right here only
}

// more returns io.EOF when the input ends here.
func (r *Reader) more() error {
	if r.n > 0 || r.pos < r.end {
		return nil
	}
	if r.srcErr == nil {
		r.fill()
	}
	if r.pos < r.end {
		return nil
	}
	if errors.Is(r.srcErr, io.ErrUnexpectedEOF) {
		return io.EOF
	}
	return r.srcErr
}
