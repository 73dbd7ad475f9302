package unpack

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/imagebuild/lock"
)

func sum(raw []byte) string {
	s := sha256.Sum256(raw)
	return hex.EncodeToString(s[:])
}

// archived is a tar stream with one file.
func archived(t testing.TB, name string, content []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	if err := w.WriteHeader(&tar.Header{Name: name, Size: int64(len(content)), Mode: 0o755, Typeflag: tar.TypeReg}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// target is an empty root and what the lock allows in it.
func target(t testing.TB, files ...lock.Binary) (*Target, string) {
	t.Helper()
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	return NewTarget(root, files), dir
}

func files(t *testing.T, dir string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// source is a blob from memory; Stop makes it fail.
type source struct {
	io.Reader
	stopped chan struct{}
}

func from(r io.Reader) source { return source{r, make(chan struct{})} }

func (s source) Stop() { close(s.stopped) }

func layerOf(blob, stream []byte) lock.Layer {
	return lock.Layer{Digest: "sha256:" + sum(blob), DiffID: "sha256:" + sum(stream), Size: int64(len(blob))}
}

func TestAFaultOfTheDiskIsNotTheImages(t *testing.T) {
	content := make([]byte, 1<<20)
	stream := archived(t, "a", content)
	to, dir := target(t, lock.Binary{Path: "a", SHA256: sum(content), Size: int64(len(content))})
	_ = to.root.Close() // everything on it fails from now on
	_, err := to.Layer(from(bytes.NewReader(stream)), layerOf(stream, stream), ".tar", nil)
	if err == nil || fault.IsTerminal(err) {
		t.Errorf("error %v, want one that is not terminal", err)
	}
	if left := files(t, dir); len(left) != 0 {
		t.Errorf("left over: %v", left)
	}
}

func TestAKeptCopyThatCannotBeWrittenIsAFaultOfTheDisk(t *testing.T) {
	content := make([]byte, 1<<20)
	stream := archived(t, "a", content)
	to := NewTarget(nil, []lock.Binary{{Path: "a", SHA256: sum(content), Size: int64(len(content))}})
	_, err := to.Layer(from(bytes.NewReader(stream)), layerOf(stream, stream), ".tar", full{})
	if !errors.Is(err, unix.ENOSPC) || fault.IsTerminal(err) {
		t.Errorf("error %v, want ENOSPC that is not terminal", err)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, unix.ENOSPC }

func TestAFaultOfTheTransportIsPassedOn(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789abcdef"), 100_000)
	stream := archived(t, "a", content)
	broken := fault.Retriablef("broken: %w", unix.ECONNRESET)
	for _, cut := range []int{0, 100, 600_000, len(stream) - 1} {
		to, dir := target(t, lock.Binary{Path: "a", SHA256: sum(content), Size: int64(len(content))})
		_, err := to.Layer(from(io.MultiReader(bytes.NewReader(stream[:cut]), iotest.ErrReader(broken))), layerOf(stream, stream), ".tar", nil)
		if fault.KindOf(err) != fault.Retriable {
			t.Errorf("after %d bytes: error %v, want a retriable one", cut, err)
		}
		if left := files(t, dir); len(left) != 0 || len(to.Missing()) != 1 {
			t.Errorf("after %d bytes: left over %v, missing %v", cut, left, to.Missing())
		}
	}
}

func TestAWrongLayerLeavesTheFilesOfTheOthers(t *testing.T) {
	one, two := []byte("one"), []byte("two")
	to, dir := target(t, lock.Binary{Path: "bin/one", SHA256: sum(one), Size: 3}, lock.Binary{Path: "bin/two", SHA256: sum(two), Size: 3})
	first := archived(t, "bin/one", one)
	if brought, err := to.Layer(from(bytes.NewReader(first)), layerOf(first, first), ".tar", nil); err != nil || len(brought) != 1 {
		t.Fatal(brought, err)
	}
	wrong := archived(t, "bin/two", []byte("owt"))
	if _, err := to.Layer(from(bytes.NewReader(wrong)), layerOf(wrong, wrong), ".tar", nil); !fault.IsTerminal(err) {
		t.Errorf("error %v, want a terminal one", err)
	}
	if left := files(t, dir); len(left) != 1 || filepath.Base(left[0]) != "one" {
		t.Errorf("in the root: %v, want bin/one", left)
	}
	right := archived(t, "bin/two", two)
	if _, err := to.Layer(from(bytes.NewReader(right)), layerOf(right, right), ".tar", nil); err != nil {
		t.Errorf("the right layer after the wrong one: %v", err)
	}
}

// bombs are blobs that unpack to 16 MiB of zeros in the file that the lock allows a few of.
func TestABombIsRefusedBeforeItTakesRoom(t *testing.T) {
	zeros := io.LimitReader(zeroReader{}, 16<<20)
	var gz bytes.Buffer
	w := gzip.NewWriter(&gz)
	if _, err := io.Copy(w, zeros); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	var zs bytes.Buffer
	enc, err := zstd.NewWriter(&zs, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(enc, io.LimitReader(zeroReader{}, 16<<20))
	_ = enc.Close()
	for media, blob := range map[string][]byte{"+gzip": gz.Bytes(), "+zstd": zs.Bytes()} {
		to, dir := target(t, lock.Binary{Path: "a", SHA256: sum([]byte("a")), Size: 1})
		_, err := to.Layer(from(bytes.NewReader(blob)), layerOf(blob, nil), media, nil)
		if !fault.IsTerminal(err) {
			t.Errorf("%s: error %v, want a terminal one", media, err)
		}
		if left := files(t, dir); len(left) != 0 {
			t.Errorf("%s: left over: %v", media, left)
		}
	}
}

// What a layer allocates does not depend on how large it is, so neither does the memory it needs.
func TestALargeLayerNeedsNoMoreMemory(t *testing.T) {
	size := int64(32 << 20)
	if testing.Short() {
		size = 12 << 20
	}
	content := sha256.New()
	_, _ = io.Copy(content, io.LimitReader(zeroReader{}, size))
	for _, media := range []string{".tar", "+gzip", "+zstd"} {
		blob := zeroLayer(t, media, size)
		to, _ := target(t, lock.Binary{Path: "a", SHA256: hex.EncodeToString(content.Sum(nil)), Size: size})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := to.Layer(from(bytes.NewReader(blob)), layerOf(blob, nil), media, nil); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 8<<20 {
			t.Errorf("%s: %d bytes allocated for a layer of %d", media, used, size)
		}
	}
}

// zeroLayer is a layer with one file "a" of zeros.
func zeroLayer(t *testing.T, media string, size int64) []byte {
	t.Helper()
	var out bytes.Buffer
	var w io.WriteCloser = nopCloser{&out}
	switch media {
	case "+gzip":
		w = gzip.NewWriter(&out)
	case "+zstd":
		enc, err := zstd.NewWriter(&out, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(256<<10))
		if err != nil {
			t.Fatal(err)
		}
		w = enc
	}
	archive := tar.NewWriter(w)
	if err := archive.WriteHeader(&tar.Header{Name: "a", Size: size, Typeflag: tar.TypeReg}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(archive, io.LimitReader(zeroReader{}, size)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(archive.Close(), w.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestAZstdFrameCannotAskForMuchMemory(t *testing.T) {
	var zs bytes.Buffer
	enc, err := zstd.NewWriter(&zs, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(16<<20))
	if err != nil {
		t.Fatal(err)
	}
	content := make([]byte, 17<<20)
	stream := archived(t, "a", content)
	_, _ = enc.Write(stream)
	_ = enc.Close()
	to, _ := target(t, lock.Binary{Path: "a", SHA256: sum(content), Size: int64(len(content))})
	if _, err := to.Layer(from(bytes.NewReader(zs.Bytes())), layerOf(zs.Bytes(), stream), "+zstd", nil); !fault.IsTerminal(err) {
		t.Errorf("error %v, want a terminal one", err)
	}
}

// waiting sends a little and then nothing until it is stopped.
type waiting struct {
	first io.Reader
	ctx   context.Context
	stop  context.CancelFunc
}

func (w waiting) Read(p []byte) (int, error) {
	if n, err := w.first.Read(p); err == nil {
		return n, nil
	}
	<-w.ctx.Done()
	return 0, fault.Retriablef("stopped: %w", w.ctx.Err())
}

func (w waiting) Stop() { w.stop() }

func TestAFaultOfTheDiskDoesNotWaitForTheRegistry(t *testing.T) {
	content := make([]byte, 4<<20)
	stream := archived(t, "a", content)
	to, _ := target(t, lock.Binary{Path: "a", SHA256: sum(content), Size: int64(len(content))})
	_ = to.root.Close()
	ctx, cancel := context.WithCancel(t.Context())
	before := runtime.NumGoroutine()
	_, err := to.Layer(waiting{bytes.NewReader(stream[:1<<20]), ctx, cancel}, layerOf(stream, stream), ".tar", nil)
	if err == nil || !strings.Contains(err.Error(), "unpack") {
		t.Errorf("error %v, want that of the disk", err)
	}
	// A goroutine that has said its last word may still be on its way out.
	for until := time.Now().Add(time.Minute); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("%d goroutines before, %d a minute after", before, runtime.NumGoroutine())
		}
	}
}
