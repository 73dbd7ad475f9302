package inflate

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"io"
	"testing"
	"testing/iotest"
)

// fuzzLimit bounds what a fuzzed stream may unpack to.
const fuzzLimit = 4 << 20

func read(r io.Reader, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(r, fuzzLimit))
}

// FuzzDeflate compares bare streams with compress/flate: the same ones are refused, and the
// accepted ones give the same bytes, however the input is cut.
func FuzzDeflate(f *testing.F) {
	for _, raw := range samples(f) {
		raw = raw[:min(len(raw), 1500)]
		for _, level := range []int{flate.HuffmanOnly, flate.NoCompression, flate.BestSpeed, flate.BestCompression} {
			f.Add(deflated(f, raw, level))
		}
	}
	f.Add([]byte{5, 0xe0, 0x81, 8, 0, 0, 0, 0, 0x20, 0x7f, 0xeb, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, stream []byte) {
		want, wantErr := read(flate.NewReader(bytes.NewReader(stream)), nil)
		got, err := read(newDeflate(bytes.NewReader(stream)), nil)
		if (err == nil) != (wantErr == nil) || err == nil && !bytes.Equal(got, want) {
			t.Fatalf("%d bytes, %v; compress/flate: %d bytes, %v", len(got), err, len(want), wantErr)
		}
		if len(want) > len(got) {
			t.Fatalf("only %d of %d bytes before the error %v", len(got), len(want), err)
		}
		pieces, piecesErr := read(newDeflate(iotest.OneByteReader(bytes.NewReader(stream))), nil)
		if (piecesErr == nil) != (err == nil) || err == nil && !bytes.Equal(pieces, got) {
			t.Fatalf("in single bytes: %d bytes, %v; at once: %d bytes, %v", len(pieces), piecesErr, len(got), err)
		}
	})
}

// FuzzGzip compares whole gzip streams with compress/gzip.
func FuzzGzip(f *testing.F) {
	f.Add(gzipped(f, []byte("hello, hello, hello"), gzip.Header{Name: "n", Comment: "c", Extra: []byte("x")}))
	f.Add(append(gzipped(f, nil, gzip.Header{}), gzipped(f, []byte("second"), gzip.Header{})...))
	f.Add([]byte{0x1f, 0x8b, 8, 0x1e, 0, 0, 0, 0, 0, 0xff, 1, 0, 'x', 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, stream []byte) {
		std, err := gzip.NewReader(bytes.NewReader(stream))
		want, wantErr := read(std, err)
		got, err := read(NewReader(bytes.NewReader(stream)), nil)
		if len(stream) == 0 {
			return // for a Reader without an error of its own this is the end
		}
		if (err == nil) != (wantErr == nil) || err == nil && !bytes.Equal(got, want) {
			t.Fatalf("%d bytes, %v; compress/gzip: %d bytes, %v", len(got), err, len(want), wantErr)
		}
	})
}
