package unpack

import (
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/pull/inflate"
)

// maxWindow bounds the memory that a zstd frame may ask for; our own images use 256 KiB, and
// zstd's strongest level without --ultra 8 MiB.
const maxWindow = 8 << 20

// decompress returns the tar stream of a layer of the given media type, and what frees it.
func decompress(media string, r io.Reader) (io.Reader, func(), error) {
	switch {
	case strings.HasSuffix(media, "+zstd"):
		dec, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, nil, fmt.Errorf("zstd: %w", err)
		}
		return dec, dec.Close, nil
	case strings.HasSuffix(media, "+gzip"), strings.HasSuffix(media, ".gzip"):
		return inflate.NewReader(r), func() {}, nil
	case strings.HasSuffix(media, ".tar"):
		return r, func() {}, nil
	default:
		return nil, nil, fault.Terminalf("media type %q is not one of tar, tar+gzip, tar+zstd", media)
	}
}

// limited refuses a stream that is longer than the signed lock allows.
type limited struct {
	r    io.Reader
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		var one [1]byte
		if n, err := l.r.Read(one[:]); n == 0 {
			return 0, err
		}
		return 0, fault.Terminalf("unpacks to more than the files in the signed lock")
	}
	n, err := l.r.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	return n, err
}
