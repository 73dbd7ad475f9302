package unpack

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/imagebuild/lock"
)

// FuzzLayer feeds foreign bytes to the unpacking, as if the lock had named exactly these bytes.
// It must not panic, must not accept anything but the one file, and must not write beside it.
func FuzzLayer(f *testing.F) {
	var stream bytes.Buffer
	w := tar.NewWriter(&stream)
	_ = w.WriteHeader(&tar.Header{Name: "usr/bin/x", Size: 1, Typeflag: tar.TypeReg})
	_, _ = io.WriteString(w, "x")
	_ = w.Close()
	var packed bytes.Buffer
	g := gzip.NewWriter(&packed)
	_, _ = g.Write(stream.Bytes())
	_ = g.Close()
	z, err := zstd.NewWriter(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(stream.Bytes(), 0)
	f.Add(z.EncodeAll(stream.Bytes(), nil), 1)
	f.Add(packed.Bytes(), 2)
	f.Add([]byte{0x28, 0xb5, 0x2f, 0xfd, 0, 0}, 1)
	f.Add([]byte{0x1f, 0x8b, 8, 0, 0}, 2)
	f.Fuzz(func(t *testing.T, raw []byte, kind int) {
		dir := t.TempDir()
		root, err := os.OpenRoot(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = root.Close() }()
		target := NewTarget(root, []lock.Binary{{Path: "usr/bin/x", SHA256: sum([]byte("x")), Size: 1}})
		media := []string{".tar", "+zstd", "+gzip"}[uint(kind)%3]
		_, err = target.Layer(from(bytes.NewReader(raw)), lock.Layer{Digest: "sha256:" + sum(raw), DiffID: "sha256:" + sum(raw), Size: int64(len(raw))}, media, nil)
		if err != nil && !fault.IsTerminal(err) {
			t.Errorf("error %v is not terminal", err)
		}
		left := files(t, dir)
		switch {
		case err != nil && len(left) > 0:
			t.Errorf("refused, and left %v", left)
		case err == nil && (len(left) > 1 || len(left) == 1 && left[0] != filepath.Join(dir, "usr/bin/x")):
			t.Errorf("wrote %v", left)
		}
	})
}
