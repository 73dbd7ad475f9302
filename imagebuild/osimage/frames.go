package osimage

import (
	"bytes"
	"io"
	"runtime"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"
)

// frameSize is how much of the tar is in one zstd frame. Frames are compressed beside each other, and cut by
// place alone, so that the bytes are the same however many cores there are. Readers of zstd take frames
// one after the other for one stream (RFC 8878, section 3).
const frameSize = 4 << 20

// compressFrames packs what is written into zstd.
func compressFrames(source io.WriterTo) ([]byte, error) {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderConcurrency(runtime.GOMAXPROCS(0)))
	if err != nil {
		return nil, err
	}
	defer encoder.Close()
	c := &frames{encoder: encoder}
	c.group.SetLimit(runtime.GOMAXPROCS(0))
	_, err = source.WriteTo(c)
	c.flush()
	if waited := c.group.Wait(); err == nil {
		err = waited
	}
	if err != nil {
		return nil, err
	}
	out := make([][]byte, len(c.done))
	for i, frame := range c.done {
		out[i] = *frame
	}
	return bytes.Join(out, nil), nil
}

type frames struct {
	encoder *zstd.Encoder
	group   errgroup.Group
	next    []byte
	done    []*[]byte // in their order, filled by the group
}

func (f *frames) Write(p []byte) (int, error) {
	for n := len(p); ; {
		if f.next == nil {
			f.next = make([]byte, 0, frameSize)
		}
		room := min(frameSize-len(f.next), len(p))
		f.next = append(f.next, p[:room]...)
		if p = p[room:]; len(f.next) == frameSize {
			f.flush()
		}
		if len(p) == 0 {
			return n, nil
		}
	}
}

func (f *frames) flush() {
	data, to := f.next, new([]byte)
	if len(data) == 0 {
		return
	}
	f.next, f.done = nil, append(f.done, to)
	f.group.Go(func() error {
		*to = f.encoder.EncodeAll(data, nil)
		return nil
	})
}
