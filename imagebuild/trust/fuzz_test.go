package trust

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"testing"

	"github.com/klauspost/compress/zstd"

	"slipway.build/slipway/imagebuild/layout"
)

func FuzzLayer(f *testing.F) {
	var plain bytes.Buffer
	w := tar.NewWriter(&plain)
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "usr/bin/a", Mode: 0o555, Size: 3}); err != nil {
		f.Fatal(err)
	}
	if _, err := w.Write([]byte("abc")); err != nil {
		f.Fatal(err)
	}
	if err := w.Close(); err != nil {
		f.Fatal(err)
	}
	f.Add(plain.Bytes())
	var zipped bytes.Buffer
	g := gzip.NewWriter(&zipped)
	if _, err := g.Write(plain.Bytes()); err != nil {
		f.Fatal(err)
	}
	if err := g.Close(); err != nil {
		f.Fatal(err)
	}
	f.Add(zipped.Bytes())
	z, err := zstd.NewWriter(nil)
	if err != nil {
		f.Fatal(err)
	}
	defer z.Close()
	f.Add(z.EncodeAll(plain.Bytes(), nil))
	const limit = 1 << 16
	f.Fuzz(func(t *testing.T, data []byte) {
		found, err := readLayer(t.Context(), bytes.NewReader(data), limit)
		if err != nil {
			t.Fatal(err) // only reading and the context may fail
		}
		if found.size != int64(len(data)) || found.digest != layout.Digest(data) {
			t.Fatalf("%d bytes, digest %s, of %d bytes", found.size, found.digest, len(data))
		}
		var files int64
		for _, file := range found.files {
			files += file.Size
		}
		if found.err == nil && (files > limit || found.diffID == "") {
			t.Fatalf("unpacked %d bytes of files, diff ID %q", files, found.diffID)
		}
	})
}
