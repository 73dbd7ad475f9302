package gzip

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"runtime"

	"github.com/klauspost/compress/flate"
)

// The parameters of the stream; every one of them decides its bytes.
const (
	// Level is the level of github.com/klauspost/compress/flate.
	Level = 5
	// blockSize is what one core compresses at a time.
	blockSize = 1 << 20
	// windowSize is how far back deflate refers (RFC 1951).
	windowSize = 32 << 10
)

// header is RFC 1952's: deflate, no name, no time, an unknown operating system.
func header() []byte { return []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff} }

// Writer compresses what is written to it. Close must be called, also after an error: it waits
// for the cores that still work.
type Writer struct {
	w       io.Writer
	block   []byte
	window  []byte // the end of the block before
	crc     uint32
	size    uint32
	begun   bool
	pending []*work // in their order
	bound   int
	err     error
}

// work is one block on its way.
type work struct {
	done chan struct{}
	out  bytes.Buffer
	err  error
}

// NewWriter returns a writer that compresses to w on as many cores as Go may use.
func NewWriter(w io.Writer) *Writer {
	return &Writer{w: w, bound: runtime.GOMAXPROCS(0), block: make([]byte, 0, blockSize)}
}

// Write takes a copy of p. An error may be that of an earlier block.
func (z *Writer) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 && z.err == nil {
		room := min(blockSize-len(z.block), len(p))
		z.block = append(z.block, p[:room]...)
		p = p[room:]
		if len(z.block) == blockSize {
			z.start(false)
		}
	}
	return n - len(p), z.err
}

// start hands the block to a core of its own, and waits for the oldest when all are busy.
func (z *Writer) start(last bool) {
	z.crc = crc32.Update(z.crc, crc32.IEEETable, z.block)
	z.size += uint32(len(z.block)) // modulo 2^32, as RFC 1952 wants it
	for len(z.pending) >= z.bound {
		z.finish()
	}
	job := &work{done: make(chan struct{})}
	block, window := z.block, z.window
	go func() {
		defer close(job.done)
		job.err = compress(&job.out, block, window, last)
	}()
	z.pending = append(z.pending, job)
	z.window = block[max(0, len(block)-windowSize):]
	z.block = make([]byte, 0, blockSize)
}

// finish writes the oldest block.
func (z *Writer) finish() {
	job := z.pending[0]
	z.pending = z.pending[1:]
	<-job.done
	if z.err == nil {
		z.err = job.err
	}
	if z.err == nil && !z.begun {
		z.begun = true
		_, z.err = z.w.Write(header())
	}
	if z.err == nil {
		_, z.err = z.w.Write(job.out.Bytes())
	}
}

// compress writes one block, which ends at a byte's boundary, or the stream's last.
func compress(out *bytes.Buffer, block, window []byte, last bool) error {
	out.Grow(len(block) / 2)
	w, err := flate.NewWriterDict(out, Level, window)
	if err != nil {
		return fmt.Errorf("compress: %w", err)
	}
	if _, err := w.Write(block); err != nil {
		return fmt.Errorf("compress: %w", err)
	}
	if last {
		return w.Close()
	}
	return w.Flush()
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
