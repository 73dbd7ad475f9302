package osimage

import (
	"bytes"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func TestALayerIsPackedAlikeOnAnyNumberOfCores(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	random := rand.NewChaCha8([32]byte{})
	for _, size := range []int{0, 1, frameSize - 1, frameSize, 3*frameSize + 7} {
		data := make([]byte, size)
		random.Read(data)
		for i := range data {
			data[i] &= 0x0f // something to gain
		}
		var first []byte
		for _, cores := range []int{1, 2, 7} {
			runtime.GOMAXPROCS(cores)
			packed, err := compressFrames(bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			if first == nil {
				first = packed
			}
			if !bytes.Equal(first, packed) {
				t.Errorf("%d bytes: %d cores make other bytes", size, cores)
			}
			r, err := zstd.NewReader(bytes.NewReader(packed))
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r)
			r.Close()
			if err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d bytes come out as %d: %v", size, len(got), err)
			}
		}
	}
}
