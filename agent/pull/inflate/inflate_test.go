package inflate

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"testing/iotest"

	kgzip "github.com/klauspost/compress/gzip"
)

// programSize is how much of a real program the samples have: enough for many blocks.
const programSize = 3 << 20

// samples are contents of several kinds, by name.
func samples(t testing.TB) map[string][]byte {
	random := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 300<<10)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	// Frequencies that halve from symbol to symbol give the longest codes.
	skewed := make([]byte, 1<<20)
	for i := range skewed {
		for skewed[i] = 0; skewed[i] < 40 && random.Uint32()&1 == 0; {
			skewed[i]++
		}
	}
	far := append(bytes.Clone(noise[:32<<10]), noise[:32<<10]...)
	out := map[string][]byte{
		"nothing": {}, "one byte": {7}, "zeros": make([]byte, 1<<20), "noise": noise, "skewed": skewed,
		"far matches": far, "short period": bytes.Repeat([]byte("abcdefg"), 100_000), "pairs": bytes.Repeat([]byte{1, 2}, 99_999),
	}
	program, err := exec.LookPath("go")
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	out["program"] = content[:min(len(content), programSize)]
	return out
}

func deflated(t testing.TB, raw []byte, level int) []byte {
	t.Helper()
	var z bytes.Buffer
	w, err := flate.NewWriter(&z, level)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return z.Bytes()
}

func gzipped(t testing.TB, raw []byte, header gzip.Header) []byte {
	t.Helper()
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	w.Header = header
	if _, err := w.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return z.Bytes()
}

func TestEveryLevelComesBackAsItWas(t *testing.T) {
	for name, raw := range samples(t) {
		for _, level := range []int{flate.HuffmanOnly, flate.NoCompression, flate.BestSpeed, 6, flate.BestCompression} {
			got, err := io.ReadAll(newDeflate(bytes.NewReader(deflated(t, raw, level))))
			if err != nil || !bytes.Equal(got, raw) {
				t.Errorf("%s at level %d: %d of %d bytes, %v", name, level, len(got), len(raw), err)
			}
		}
	}
}

func TestInputMayComeInAnyPieces(t *testing.T) {
	raw := samples(t)["program"][:1<<20]
	stream := gzipped(t, raw, gzip.Header{Name: "program", Comment: "a comment", Extra: []byte("extra")})
	for name, wrap := range map[string]func(io.Reader) io.Reader{
		"single bytes":    iotest.OneByteReader,
		"halves":          iotest.HalfReader,
		"data with error": iotest.DataErrReader,
	} {
		got, err := io.ReadAll(NewReader(wrap(bytes.NewReader(stream))))
		if err != nil || !bytes.Equal(got, raw) {
			t.Errorf("%s: %d of %d bytes, %v", name, len(got), len(raw), err)
		}
	}
}

func TestMembersFollowEachOther(t *testing.T) {
	first, second := samples(t)["program"][:70_000], samples(t)["skewed"]
	stream := append(gzipped(t, first, gzip.Header{}), gzipped(t, second, gzip.Header{})...)
	r := NewReader(bytes.NewReader(stream))
	for range 2 { // a Reader can be used again
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, append(bytes.Clone(first), second...)) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
		r.Reset(bytes.NewReader(stream))
	}
}

func TestAMatchCannotReachIntoTheMemberBefore(t *testing.T) {
	// A block with fixed codes: a match of 3 bytes, 1 back, and nothing before it.
	w := bitWriter{}
	w.put(1, 1)          // last
	w.put(1, 2)          // fixed
	w.code(0b0000001, 7) // length 3
	w.code(0, 5)         // distance 1
	w.code(0, 7)         // end
	reach := w.out
	member := append([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff}, reach...)
	stream := append(gzipped(t, []byte("before"), gzip.Header{}), member...)
	stream = append(stream, make([]byte, 64)...)
	_, err := io.ReadAll(NewReader(bytes.NewReader(stream)))
	var corrupt CorruptError
	if !errors.As(err, &corrupt) {
		t.Errorf("error %v, want a CorruptError", err)
	}
}

type bitWriter struct {
	out []byte
	n   int
}

func (w *bitWriter) put(v, count int) {
	for i := range count {
		if w.n%8 == 0 {
			w.out = append(w.out, 0)
		}
		w.out[w.n/8] |= byte(v>>i&1) << (w.n % 8)
		w.n++
	}
}

// code writes a Huffman code, whose highest bit comes first.
func (w *bitWriter) code(v, count int) {
	for i := count - 1; i >= 0; i-- {
		w.put(v>>i&1, 1)
	}
}

func TestATruncatedStreamIsNoEnd(t *testing.T) {
	stream := gzipped(t, samples(t)["program"][:100_000], gzip.Header{})
	for n := range len(stream) {
		if n > 200 && n < len(stream)-200 && n%97 != 0 {
			continue
		}
		_, err := io.ReadAll(NewReader(bytes.NewReader(stream[:n])))
		if n > 0 && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("cut at byte %d: error %v", n, err)
		}
	}
}

func TestAnErrorOfTheSourceIsPassedOn(t *testing.T) {
	broken := errors.New("broken")
	stream := gzipped(t, samples(t)["program"][:1<<20], gzip.Header{})
	_, err := io.ReadAll(NewReader(io.MultiReader(bytes.NewReader(stream[:len(stream)/2]), iotest.ErrReader(broken))))
	if !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}

// BenchmarkInflate is the comparison that decided for this package: see docs/decisions.
func BenchmarkInflate(b *testing.B) {
	program, err := exec.LookPath("go")
	if err != nil {
		b.Fatal(err)
	}
	raw, err := os.ReadFile(program)
	if err != nil {
		b.Fatal(err)
	}
	stream := gzipped(b, raw, gzip.Header{})
	for name, open := range map[string]func(io.Reader) (io.Reader, error){
		"inflate":   func(r io.Reader) (io.Reader, error) { return NewReader(r), nil },
		"standard":  func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) },
		"klauspost": func(r io.Reader) (io.Reader, error) { return kgzip.NewReader(r) },
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(raw)))
			for b.Loop() {
				r, err := open(bytes.NewReader(stream))
				if err != nil {
					b.Fatal(err)
				}
				if n, err := io.Copy(io.Discard, r); err != nil || n != int64(len(raw)) {
					b.Fatal(n, err)
				}
			}
		})
	}
}
