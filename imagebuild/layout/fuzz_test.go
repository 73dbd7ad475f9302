package layout

import (
	"archive/tar"
	"bytes"
	"path/filepath"
	"strings"
	"testing"
)

func FuzzArchive(f *testing.F) {
	for _, name := range []string{"blobs/sha256/" + strings.Repeat("a", 64), "../x", strings.Repeat("long/", 60) + "x", "index.json"} {
		var out bytes.Buffer
		w := tar.NewWriter(&out)
		for _, h := range []tar.Header{
			{Name: "oci-layout", Typeflag: tar.TypeReg, Size: 2}, {Name: name, Typeflag: tar.TypeReg, Size: 2},
			{Name: "blobs/", Typeflag: tar.TypeDir},
		} {
			if err := w.WriteHeader(&h); err != nil {
				f.Fatal(err)
			}
			if h.Size > 0 {
				if _, err := w.Write([]byte("{}")); err != nil {
					f.Fatal(err)
				}
			}
		}
		if err := w.Close(); err != nil {
			f.Fatal(err)
		}
		f.Add(out.Bytes())
	}
	f.Add(make([]byte, 1024))
	f.Fuzz(func(t *testing.T, data []byte) {
		found, err := scan(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		for name, at := range found.files {
			if at.offset < 0 || at.size < 0 || at.offset+at.size > int64(len(data)) {
				t.Fatalf("%s lies at %+v of %d bytes", name, at, len(data))
			}
			if name != "index.json" && name != "oci-layout" && !digestForm.MatchString("sha256:"+strings.TrimPrefix(name, "blobs/sha256/")) {
				t.Fatalf("name %q", name)
			}
		}
		for _, name := range found.strays {
			if !filepath.IsLocal(name) {
				t.Fatalf("stray %q", name)
			}
		}
	})
}
