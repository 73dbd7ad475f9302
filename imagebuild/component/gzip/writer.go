package gzip

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"runtime"
)

// header is RFC 1952's: deflate, no name, no time, an unknown operating system.
func header() []byte { return []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff} }

// Writer compresses what is written to it. Close must be called, also after an error: it waits
// for the cores that still work.
type Writer struct {
	w       io.Writer
	lane    *lane // the block that is being filled
	idle    []*lane
	pending []*lane // in their order
	bound   int
	crc     uint32
	size    uint32
	begun   bool
	err     error
}

// NewWriter returns a writer that compresses to w on as many cores as Go may use.
func NewWriter(w io.Writer) *Writer {
	return &Writer{w: w, bound: runtime.GOMAXPROCS(0), lane: newLane()}
}

// Write takes a copy of p. An error may be that of an earlier block.
func (z *Writer) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 && z.err == nil {
		p = p[z.lane.fill(p):]
		if z.lane.full() {
			z.start(false)
		}
	}
	return n - len(p), z.err
}

// start hands the block to a core of its own, and waits for the oldest when all are busy.
func (z *Writer) start(last bool) {
	block := z.lane.block
	z.crc = crc32.Update(z.crc, crc32.IEEETable, block)
	z.size += uint32(len(block)) // modulo 2^32, as RFC 1952 wants it
	for len(z.pending) >= z.bound {
		z.finish()
	}
	next := z.next()
	next.follow(block)
	z.lane.start(last)
	z.pending, z.lane = append(z.pending, z.lane), next
}

// next returns an empty lane.
func (z *Writer) next() *lane {
	if len(z.idle) == 0 {
		return newLane()
	}
	l := z.idle[len(z.idle)-1]
	z.idle = z.idle[:len(z.idle)-1]
	return l
}

// finish writes the oldest block.
func (z *Writer) finish() {
	l := z.pending[0]
	z.pending = z.pending[1:]
	out, err := l.wait()
	if z.err == nil {
		z.err = err
	}
	if z.err == nil && !z.begun {
		z.begun = true
		_, z.err = z.w.Write(header())
	}
	if z.err == nil {
		_, z.err = z.w.Write(out)
	}
	z.idle = append(z.idle, l)
}

// errClosed is what a closed writer answers.
var errClosed = errors.New("write to a closed gzip writer")

// Close compresses what is left and writes the trailer. It does not close the writer beneath.
func (z *Writer) Close() error {
	if errors.Is(z.err, errClosed) {
		return nil
	}
	if z.err == nil {
		z.start(true)
	}
	for len(z.pending) > 0 {
		z.finish()
	}
	if z.err != nil {
		return z.err
	}
	trailer := binary.LittleEndian.AppendUint32(nil, z.crc)
	trailer = binary.LittleEndian.AppendUint32(trailer, z.size)
	if _, err := z.w.Write(trailer); err != nil {
		return err
	}
	z.err = errClosed
	return nil
}
