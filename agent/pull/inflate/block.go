package inflate

import (
	"bytes"
	"hash/crc32"
	"sync"
)

// header reads a gzip member's header (RFC 1952, 2.3). As in compress/gzip, reserved flags are
// ignored, a header checksum is compared, and names end within 512 bytes.
func (r *Reader) header() error {
	if r.read == 0 {
		if err := r.more(); err != nil {
			return err // an empty input is io.EOF
		}
	}
	var raw [10]byte
	if err := r.bytes(raw[:]); err != nil {
		return err
	}
	if raw[0] != 0x1f || raw[1] != 0x8b || raw[2] != 8 {
		return ErrHeader
	}
	flags := raw[3]
	sum := crc32.ChecksumIEEE(raw[:])
	if flags&4 != 0 {
		var size [2]byte
		if err := r.bytes(size[:]); err != nil {
			return err
		}
		sum = crc32.Update(sum, crc32.IEEETable, size[:])
		extra := make([]byte, int(size[0])|int(size[1])<<8)
		if err := r.bytes(extra); err != nil {
			return err
		}
		sum = crc32.Update(sum, crc32.IEEETable, extra)
	}
	for _, flag := range []byte{8, 16} {
		if flags&flag == 0 {
			continue
		}
		text, err := r.text()
		if err != nil {
			return err
		}
		sum = crc32.Update(sum, crc32.IEEETable, text)
	}
	if flags&2 != 0 {
		var want [2]byte
		if err := r.bytes(want[:]); err != nil {
			return err
		}
		if uint16(want[0])|uint16(want[1])<<8 != uint16(sum) {
			return ErrHeader
		}
	}
	r.base = r.w
	r.sum, r.size, r.last = 0, 0, false
	r.state = atBlock
	return nil
}

// bytes reads whole bytes; the bit position is at one.
func (r *Reader) bytes(p []byte) error {
	for i := range p {
		v, err := r.take(8)
		if err != nil {
			return err
		}
		p[i] = byte(v)
	}
	return nil
}

// text reads up to and with a zero byte.
func (r *Reader) text() ([]byte, error) {
	var text [512]byte
	for i := range text {
		if err := r.bytes(text[i : i+1]); err != nil {
			return nil, err
		}
		if text[i] == 0 {
			return text[:i+1], nil
		}
	}
	return nil, ErrHeader
}

// block reads a block's header (RFC 1951, 3.2.3).
func (r *Reader) block() error {
	v, err := r.take(3)
	if err != nil {
		return err
	}
	r.last = v&1 != 0
	switch v >> 1 {
	case 0:
		return r.startStored()
	case 1:
		r.tables = fixedTables()
		r.state = inCodes
		return nil
	case 2:
		return r.dynamic()
	default:
		return r.corrupt()
	}
}

func (r *Reader) startStored() error {
	r.align()
	size, err := r.take(16)
	if err != nil {
		return err
	}
	inverse, err := r.take(16)
	if err != nil {
		return err
	}
	if uint16(size) != ^uint16(inverse) {
		return r.corrupt()
	}
	r.stored = int(size)
	r.state = inStored
	return nil
}

// copyStored delivers some bytes of a stored block.
func (r *Reader) copyStored() error {
	for r.stored > 0 && r.n > 0 && r.w < len(r.out) {
		v, err := r.take(8)
		if err != nil {
			return err
		}
		r.out[r.w] = byte(v)
		r.w++
		r.stored--
	}
	if r.stored > 0 && r.pos == r.end {
		if r.srcErr == nil {
			r.fill()
		}
		if r.pos == r.end {
			return r.srcErr
		}
	}
	n := copy(r.out[r.w:min(len(r.out), r.w+r.stored)], r.in[r.pos:r.end])
	r.w += n
	r.pos += n
	r.stored -= n
	if r.stored == 0 {
		r.endBlock()
	}
	return nil
}

// fixedTables are the tables of blocks with fixed codes; nobody changes them.
var fixedTables = sync.OnceValue(func() *tables {
	t := new(tables)
	for i := range t.lengths[:288] {
		switch {
		case i < 144:
			t.lengths[i] = 8
		case i < 256:
			t.lengths[i] = 9
		case i < 280:
			t.lengths[i] = 7
		default:
			t.lengths[i] = 8
		}
	}
	build(t.lit[:], litBits, t.lengths[:288], litEntry)
	pair(&t.lit)
	dist := bytes.Repeat([]byte{5}, 32)
	build(t.dist[:], distBits, dist, distEntry)
	return t
})

// codeOrder is the order in which code length codes' lengths come.
var codeOrder = [...]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// dynamic reads the codes of a block and sets its tables (RFC 1951, 3.2.7).
func (r *Reader) dynamic() error {
	v, err := r.take(14)
	if err != nil {
		return err
	}
	lits, dists, codes := int(v&31)+257, int(v>>5&31)+1, int(v>>10)+4
	if lits > maxLitLen || dists > maxDist {
		return r.corrupt()
	}
	t := &r.own
	r.tables = t
	var codeLengths [19]uint8
	for i := range codes {
		n, err := r.take(3)
		if err != nil {
			return err
		}
		codeLengths[codeOrder[i]] = uint8(n)
	}
	// The distance table's space serves for the code of code lengths first.
	if !build(t.dist[:], 7, codeLengths[:], codeEntry) {
		return r.corrupt()
	}
	if err := r.codeLengths(lits + dists); err != nil {
		return err
	}
	if !build(t.lit[:], litBits, t.lengths[:lits], litEntry) || !build(t.dist[:], distBits, t.lengths[lits:lits+dists], distEntry) {
		return r.corrupt()
	}
	pair(&t.lit)
	r.state = inCodes
	return nil
}

// codeLengths reads the lengths of literal, length and distance codes.
func (r *Reader) codeLengths(total int) error {
	for i := 0; i < total; {
		e, err := r.symbol(r.dist[:], 7)
		if err != nil {
			return err
		}
		if e&exceptional != 0 {
			return r.corrupt()
		}
		symbol := int(e >> 16)
		if symbol < 16 {
			r.own.lengths[i] = uint8(symbol)
			i++
			continue
		}
		var repeat int
		var value uint8
		var extra uint
		switch symbol {
		case 16:
			if i == 0 {
				return r.corrupt()
			}
			repeat, extra, value = 3, 2, r.own.lengths[i-1]
		case 17:
			repeat, extra = 3, 3
		default:
			repeat, extra = 11, 7
		}
		more, err := r.take(extra)
		if err != nil {
			return err
		}
		repeat += int(more)
		if i+repeat > total {
			return r.corrupt()
		}
		for range repeat {
			r.own.lengths[i] = value
			i++
		}
	}
	return nil
}
