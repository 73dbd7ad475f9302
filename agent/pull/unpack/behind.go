package unpack

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
)

// behind hashes and writes one file in a goroutine of its own, while its next bytes are
// decompressed.
type behind struct {
	dst  io.Writer // nil hashes only
	full chan []byte
	free chan []byte
	done chan struct{}

	sum string
	err error
}

// buffers are the pieces of a layer's files, used by one file after the other.
type buffers struct{ free chan []byte }

func newBuffers() *buffers {
	b := &buffers{free: make(chan []byte, pieces)}
	for range pieces {
		b.free <- make([]byte, pieceSize)
	}
	return b
}

func (b *buffers) start(dst io.Writer) *behind {
	w := &behind{dst: dst, full: make(chan []byte, pieces), free: b.free, done: make(chan struct{})}
	go w.run()
	return w
}

// run takes pieces to the end, also after an error, so that nobody waits for it.
func (w *behind) run() {
	defer close(w.done)
	sum := sha256.New()
	for p := range w.full {
		if w.err == nil {
			sum.Write(p)
			if w.dst != nil {
				_, w.err = w.dst.Write(p)
			}
		}
		w.free <- p[:pieceSize]
	}
	w.sum = hex.EncodeToString(sum.Sum(nil))
}

// copyFrom moves all of src, and returns the sha256 in hex when all is written. The first error
// is that of src or, as a writeError, that of the file.
func (w *behind) copyFrom(src io.Reader) (string, error) {
	err := w.fill(src)
	close(w.full)
	<-w.done
	if w.err != nil {
		return "", &writeError{w.err}
	}
	return w.sum, err
}

func (w *behind) fill(src io.Reader) error {
	for {
		p := (<-w.free)[:pieceSize]
		n, err := 0, error(nil)
		for n < len(p) && err == nil {
			var m int
			m, err = src.Read(p[n:])
			n += m
		}
		w.full <- p[:n]
		if err == io.EOF {
			return nil // a stream that is cut off in a file says io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
	}
}

// writeError is a fault of our own disk.
type writeError struct{ err error }

func (e *writeError) Error() string { return e.err.Error() }
func (e *writeError) Unwrap() error { return e.err }
