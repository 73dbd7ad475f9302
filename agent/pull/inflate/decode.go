package inflate

import "encoding/binary"

const (
	// inMargin is how many bytes of input one turn of the fast loop may look at.
	inMargin = 24
	// outMargin is how many bytes one turn of the fast loop may write: six literals, the longest
	// match, and the rest of its last word.
	outMargin = 320
)

type verdict int

const (
	wantInput verdict = iota + 1
	wantRoom
	blockEnd
	badCode
	badDistance
)

// fast decodes symbols while there is plenty of input and of room, so that neither needs a look
// in between. It leaves exactly the whole state behind.
func (r *Reader) fast() verdict {
	lit, dist := &r.lit, &r.dist
	in, out := r.in[:r.end], r.out[:]
	pos, w, base := r.pos, r.w, r.base
	buf, n := r.bits, r.n
	inLimit, outLimit := len(in)-inMargin, len(out)-outMargin
	end := wantInput
	for {
		if pos > inLimit {
			break
		}
		if w > outLimit {
			end = wantRoom
			break
		}
		buf |= binary.LittleEndian.Uint64(in[pos:]) << (n & 63)
		pos += int((63 - n) >> 3)
		n |= 56
		e := lit[buf&(1<<litBits-1)]
		if e&literalFlag != 0 {
			binary.LittleEndian.PutUint16(out[w:], uint16(e>>8))
			w += 1 + int(e>>5&1)
			buf >>= e & entryBits
			n -= uint(e & entryBits)
			e = lit[buf&(1<<litBits-1)]
			if e&literalFlag != 0 {
				binary.LittleEndian.PutUint16(out[w:], uint16(e>>8))
				w += 1 + int(e>>5&1)
				buf >>= e & entryBits
				n -= uint(e & entryBits)
				e = lit[buf&(1<<litBits-1)]
				if e&literalFlag != 0 {
					binary.LittleEndian.PutUint16(out[w:], uint16(e>>8))
					w += 1 + int(e>>5&1)
					buf >>= e & entryBits
					n -= uint(e & entryBits)
					continue
				}
			}
			buf |= binary.LittleEndian.Uint64(in[pos:]) << (n & 63)
			pos += int((63 - n) >> 3)
			n |= 56
		}
		if e&exceptional != 0 {
			if e&subtableFlag != 0 {
				e = lit[(e>>16+uint32(buf>>litBits)&(1<<(e>>8&0xf)-1))&(litSize-1)]
			}
			if e&literalFlag != 0 {
				out[w] = byte(e >> 8)
				w++
				buf >>= e & entryBits
				n -= uint(e & entryBits)
				continue
			}
			if e&exceptional != 0 {
				if e&^entryBits != endOfBlock {
					end = badCode
					break
				}
				buf >>= e & entryBits
				n -= uint(e & entryBits)
				end = blockEnd
				break
			}
		}
		length := int(e>>16) + int((buf&(1<<(e&entryBits)-1))>>(e>>8&0xf))
		buf >>= e & entryBits
		n -= uint(e & entryBits)

		d := dist[buf&(1<<distBits-1)]
		if d&exceptional != 0 {
			if d&subtableFlag != 0 {
				d = dist[(d>>16+uint32(buf>>distBits)&(1<<(d>>8&0xf)-1))&(distSize-1)]
			}
			if d&exceptional != 0 {
				end = badCode
				break
			}
		}
		distance := int(d>>16) + int((buf&(1<<(d&entryBits)-1))>>(d>>8&0xf))
		buf >>= d & entryBits
		n -= uint(d & entryBits)
		from := w - distance
		if from < base {
			end = badDistance
			break
		}
		to := w
		w += length
		switch {
		case distance >= 16:
			for {
				*(*[16]byte)(out[to:]) = *(*[16]byte)(out[from:])
				to += 16
				from += 16
				if to >= w {
					break
				}
			}
		case distance >= 8:
			for {
				*(*[8]byte)(out[to:]) = *(*[8]byte)(out[from:])
				to += 8
				from += 8
				if to >= w {
					break
				}
			}
		default:
			// Words overlap what they repeat: each stores at least distance right bytes.
			for {
				binary.LittleEndian.PutUint64(out[to:], binary.LittleEndian.Uint64(out[from:]))
				to += distance
				from += distance
				if to >= w {
					break
				}
			}
		}
	}
	r.pos, r.w, r.bits, r.n = pos, w, buf&(1<<n-1), n
	return end
}

// slow decodes symbols near the end of the input, each with a look at what is left. It never
// asks for input that the stream does not need.
func (r *Reader) slow() (verdict, error) {
	for r.w <= len(r.out)-outMargin {
		e, err := r.symbol(r.lit[:], litBits)
		if err != nil {
			return 0, err
		}
		switch {
		case e&literalFlag != 0:
			r.out[r.w] = byte(e >> 8)
			r.w++
			continue
		case e&^entryBits == endOfBlock:
			return blockEnd, nil
		case e&exceptional != 0:
			return badCode, nil
		}
		length, err := r.value(e)
		if err != nil {
			return 0, err
		}
		d, err := r.symbol(r.dist[:], distBits)
		if err != nil {
			return 0, err
		}
		if d&exceptional != 0 {
			return badCode, nil
		}
		distance, err := r.value(d)
		if err != nil {
			return 0, err
		}
		from := r.w - distance
		if from < r.base {
			return badDistance, nil
		}
		for range length {
			r.out[r.w] = r.out[from]
			r.w++
			from++
		}
	}
	return wantRoom, nil
}

// symbol decodes one symbol, of two joined literals only the first, and takes its code's bits;
// those of the extra bits are value's.
func (r *Reader) symbol(table []entry, primary int) (entry, error) {
	for {
		e := table[r.bits&(1<<primary-1)]
		if e&subtableFlag != 0 {
			e = table[int(e>>16&0x7fff)+int(r.bits>>primary)&(1<<(e>>8&0xf)-1)]
		}
		if e == invalid {
			// Bits that are not there yet count as zeros: only with a whole code is it one.
			if r.n >= maxCode {
				return e, nil
			}
			if err := r.byte(); err != nil {
				return 0, err
			}
			continue
		}
		length := e & entryBits
		switch {
		case e&pairFlag != 0 && e&literalFlag != 0:
			length = uint32(r.firstLength(e))
		case e&(literalFlag|exceptional) == 0:
			length = e >> 8 & 0xf
		}
		if uint(length) <= r.n {
			r.bits >>= length
			r.n -= uint(length)
			return e, nil
		}
		if err := r.byte(); err != nil {
			return 0, err
		}
	}
}

// firstLength is how long the code of the first of two joined literals is.
func (r *Reader) firstLength(e entry) uint8 { return r.lengths[e>>8&0xff] }

// value reads the extra bits of a length or distance.
func (r *Reader) value(e entry) (int, error) {
	extra := uint(e&entryBits) - uint(e>>8&0xf)
	bits, err := r.take(extra)
	return int(e>>16) + int(bits), err
}
