package gzip

import (
	"bytes"
	"fmt"

	"github.com/klauspost/compress/flate"
)

// The parameters of the stream; every one of them decides its bytes.
const (
	// Level is the level of github.com/klauspost/compress/flate. Of kube-apiserver it leaves 34.6 %,
	// level 5 31.5 % at less than half the speed: nodes fetch zstd, so the time of whoever builds
	// counts for more here.
	Level = 2
	// blockSize is what one core compresses at a time.
	blockSize = 1 << 20
	// windowSize is how far back deflate refers (RFC 1951).
	windowSize = 32 << 10
)

// lane compresses one block after another, each on its own: it knows nothing of the blocks that it
// had before, so it does not matter which lane a block gets.
type lane struct {
	encoder *flate.Writer
	window  []byte // the end of the block before
	block   []byte
	out     bytes.Buffer
	err     error
	done    chan struct{}
}

func newLane() *lane {
	return &lane{block: make([]byte, 0, blockSize), window: make([]byte, 0, windowSize), done: make(chan struct{}, 1)}
}

// fill takes what there is room for, and returns how much that is.
func (l *lane) fill(p []byte) int {
	n := min(blockSize-len(l.block), len(p))
	l.block = append(l.block, p[:n]...)
	return n
}

func (l *lane) full() bool { return len(l.block) == blockSize }

// follow makes an empty lane the next after a block.
func (l *lane) follow(before []byte) {
	l.window = append(l.window[:0], before[max(0, len(before)-windowSize):]...)
	l.block = l.block[:0]
}

// start compresses the block in a goroutine, which wait waits for.
func (l *lane) start(last bool) {
	go func() {
		l.err = l.compress(last)
		l.done <- struct{}{}
	}()
}

// wait returns the compressed block, valid until the lane starts again.
func (l *lane) wait() ([]byte, error) {
	<-l.done
	return l.out.Bytes(), l.err
}

// compress writes the block so that it ends at a byte's boundary, or as the stream's last.
func (l *lane) compress(last bool) error {
	l.out.Reset()
	if l.encoder == nil {
		var err error
		if l.encoder, err = flate.NewWriter(&l.out, Level); err != nil {
			return fmt.Errorf("compress: %w", err)
		}
	}
	l.encoder.ResetDict(&l.out, l.window)
	if _, err := l.encoder.Write(l.block); err != nil {
		return fmt.Errorf("compress: %w", err)
	}
	if last {
		return l.encoder.Close()
	}
	return l.encoder.Flush()
}
