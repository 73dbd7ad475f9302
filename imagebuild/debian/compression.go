package debian

import (
	"fmt"
	"io"
	"path"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// decompress returns what the member has, and a function that ends reading it.
func decompress(member string, r io.Reader, l limits) (io.Reader, func(), error) {
	nothing := func() {}
	switch path.Ext(member) {
	case ".xz":
		x, err := xz.NewReader(r)
		return x, nothing, cutOff(err)
	case ".gz":
		g, err := gzip.NewReader(r)
		return g, nothing, cutOff(err)
	case ".zst":
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(uint64(l.bytes)))
		if err != nil {
			return nil, nil, err
		}
		return z, z.Close, nil
	case ".tar":
		return r, nothing, nil
	}
	return nil, nil, fmt.Errorf("a compression that is not known")
}

// cutOff makes the end of a stream before its beginning an error that no reader takes for its end.
func cutOff(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// tooLarge is the error for a package that unpacks to more than its limit.
type tooLarge struct{ limit int64 }

func (e tooLarge) Error() string {
	return fmt.Sprintf("the package unpacks to more than %d bytes", e.limit)
}

// bounded reads a stream that is an error beyond its limit, not an end.
type bounded struct {
	r           io.Reader
	left, limit int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, tooLarge{b.limit}
	}
	return n, err
}
