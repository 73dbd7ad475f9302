package gzip

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"
)

// sample has long repetitions, short ones and noise, and is longer than several blocks.
func sample(n int) []byte {
	random := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, 0, n)
	for len(b) < n {
		switch random.IntN(3) {
		case 0:
			for range 100 {
				b = append(b, byte(random.Uint32()))
			}
		case 1:
			b = append(b, bytes.Repeat([]byte{byte(random.Uint32())}, random.IntN(300))...)
		default:
			from := random.IntN(len(b) + 1)
			b = append(b, b[from:min(len(b), from+random.IntN(40_000))]...)
		}
	}
	return b[:n]
}

func compressed(t *testing.T, input []byte, chunk int) []byte {
	t.Helper()
	var out bytes.Buffer
	w := NewWriter(&out)
	for rest := input; len(rest) > 0; rest = rest[min(chunk, len(rest)):] {
		if _, err := w.Write(rest[:min(chunk, len(rest))]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestWhatIsWrittenReadsBack(t *testing.T) {
	for _, n := range []int{0, 1, 1000, blockSize - 1, blockSize, blockSize + 1, 5*blockSize + 17} {
		input := sample(n)
		r, err := gzip.NewReader(bytes.NewReader(compressed(t, input, 64<<10)))
		if err != nil {
			t.Fatal(err)
		}
		r.Multistream(false)
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, input) {
			t.Errorf("%d bytes come back as %d: %v", n, len(got), err)
		}
	}
}

func TestNeitherCoresNorChunksChangeTheBytes(t *testing.T) {
	input := sample(6*blockSize + 12345)
	want := compressed(t, input, len(input))
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, cores := range []int{1, 2, 3, 8} {
		runtime.GOMAXPROCS(cores)
		for _, chunk := range []int{1 << 10, 32<<10 + 1, 3 << 20} {
			if !bytes.Equal(compressed(t, input, chunk), want) {
				t.Errorf("%d cores, chunks of %d: other bytes", cores, chunk)
			}
		}
	}
}

type full struct{ room int }

var errFull = errors.New("full")

func (f *full) Write(p []byte) (int, error) {
	if f.room -= len(p); f.room < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestAnErrorBeneathIsReturnedAndNothingIsLeftRunning(t *testing.T) {
	for _, room := range []int{0, 100, 100_000} {
		w := NewWriter(&full{room})
		_, err := w.Write(sample(8 * blockSize))
		if closed := w.Close(); !errors.Is(closed, errFull) {
			t.Errorf("room for %d: write says %v, close says %v", room, err, closed)
		}
		if len(w.pending) != 0 {
			t.Errorf("%d blocks are still on their way", len(w.pending))
		}
	}
}

func TestAClosedWriterTakesNothing(t *testing.T) {
	w := NewWriter(io.Discard)
	if err := errors.Join(w.Close(), w.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("x")); err == nil {
		t.Error("it took a byte")
	}
}

func BenchmarkWriter(b *testing.B) {
	input := sample(32 << 20)
	b.SetBytes(int64(len(input)))
	for b.Loop() {
		w := NewWriter(io.Discard)
		_, _ = w.Write(input)
		_ = w.Close()
	}
}
