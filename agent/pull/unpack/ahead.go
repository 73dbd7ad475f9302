package unpack

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
)

const (
	// pieceSize is what moves between the goroutines of a layer at a time.
	pieceSize = 256 << 10
	// pieces is how many of them are on their way at each border.
	pieces = 3
)

// Source is a blob on its way in. Stop may be called beside a Read and makes it fail soon.
type Source interface {
	io.Reader
	Stop()
}

// piece is what was read at once, and the error that came with or after it.
type piece struct {
	data []byte
	err  error
}

// ahead reads a blob in a goroutine of its own, which also hashes it and keeps a copy, so that
// the network and the decompression do not wait for each other.
type ahead struct {
	src  Source
	keep io.Writer // may be nil
	sum  hash.Hash
	full chan piece
	free chan []byte
	quit chan struct{}

	current piece
	rest    []byte // of current
	err     error  // of the source, io.EOF included; nil while there is more
}

func startAhead(src Source, keep io.Writer) *ahead {
	a := &ahead{src: src, keep: keep, sum: sha256.New(), full: make(chan piece, pieces), free: make(chan []byte, pieces), quit: make(chan struct{})}
	for range pieces {
		a.free <- make([]byte, pieceSize)
	}
	go a.run()
	return a
}

// run owns the hash until it closes full.
func (a *ahead) run() {
	defer close(a.full)
	for {
		var buffer []byte
		select {
		case buffer = <-a.free:
		case <-a.quit:
			return
		}
		p := a.read(buffer[:pieceSize])
		select {
		case a.full <- p:
		case <-a.quit:
			return
		}
		if p.err != nil {
			return
		}
	}
}

// read fills a piece as far as one more read does not cost waiting for long.
func (a *ahead) read(buffer []byte) piece {
	n, err := 0, error(nil)
	for n < len(buffer)/2 && err == nil {
		var m int
		m, err = a.src.Read(buffer[n:])
		n += m
	}
	a.sum.Write(buffer[:n])
	if a.keep != nil && n > 0 {
		if _, keepErr := a.keep.Write(buffer[:n]); keepErr != nil {
			return piece{err: &keepError{keepErr}}
		}
	}
	return piece{buffer[:n], err}
}

// keepError is a fault of our own disk, not of the blob.
type keepError struct{ err error }

func (e *keepError) Error() string { return fmt.Sprintf("keep blob: %v", e.err) }
func (e *keepError) Unwrap() error { return e.err }

// Read implements io.Reader.
func (a *ahead) Read(p []byte) (int, error) {
	for len(a.rest) == 0 {
		if a.err != nil {
			return 0, a.err
		}
		if a.current.data != nil {
			a.free <- a.current.data
		}
		a.current = <-a.full
		a.rest, a.err = a.current.data, a.current.err
	}
	n := copy(p, a.rest)
	a.rest = a.rest[n:]
	return n, nil
}

// drain reads the rest of the blob, so that its digest is that of all of it; nil at its end.
func (a *ahead) drain() error {
	for a.err == nil {
		a.rest = nil
		if a.current.data != nil {
			a.free <- a.current.data
		}
		a.current = <-a.full
		a.err = a.current.err
	}
	if a.err == io.EOF {
		return nil
	}
	return a.err
}

// stop ends the goroutine and waits for it.
func (a *ahead) stop() {
	if a.err == nil {
		a.src.Stop()
	}
	close(a.quit)
	for range a.full {
	}
}

// digest may be called after drain.
func (a *ahead) digest() string { return "sha256:" + hex.EncodeToString(a.sum.Sum(nil)) }
