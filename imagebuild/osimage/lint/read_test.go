package lint

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestADirectoryAndItsTarAreReadAlike(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "usr/lib/tmpfiles.d"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "usr/lib/tmpfiles.d/a.conf"), []byte("d /var/lib/a\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("a.conf", filepath.Join(dir, "usr/lib/tmpfiles.d/b.conf")); err != nil {
		t.Fatal(err)
	}
	var data bytes.Buffer
	w := tar.NewWriter(&data)
	if err := w.AddFS(os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	w.Close()
	fromDir, err := FromDirectory(dir)
	if err != nil {
		t.Fatal(err)
	}
	fromTar, err := FromTar(&data)
	if err != nil {
		t.Fatal(err)
	}
	view := func(s *Subject) (list []string) {
		for _, e := range s.Layers[0].Entries {
			list = append(list, e.Path+" "+string(e.Type)+" "+e.Link+" "+string(e.Data))
		}
		return list
	}
	if diff := cmp.Diff(view(fromDir), view(fromTar)); diff != "" {
		t.Error(diff)
	}
}

func TestADamagedTarIsAnError(t *testing.T) {
	for _, data := range []string{"", "abc", strings.Repeat("x", 2000), "\x1f\x8bnonsense", "\x28\xb5\x2f\xfdnonsense"} {
		if _, err := FromTar(strings.NewReader(data)); err == nil {
			t.Errorf("%.10q is read", data)
		}
	}
}

func FuzzReadTar(f *testing.F) {
	var data bytes.Buffer
	w := tar.NewWriter(&data)
	for _, h := range []tar.Header{
		{Name: "usr/", Typeflag: tar.TypeDir, Mode: 0o755}, {Name: "usr/.wh.a", Typeflag: tar.TypeReg}, {Name: "a", Linkname: "../b", Typeflag: tar.TypeSymlink},
		{Name: "usr/lib/bootc/kargs.d/a.toml", Typeflag: tar.TypeReg, Size: 9}, {Name: "caf\xe9", Typeflag: tar.TypeLink, Linkname: ".."},
	} {
		if err := w.WriteHeader(&h); err != nil {
			f.Fatal(err)
		}
		if h.Size > 0 {
			w.Write([]byte("kargs=[]\n"))
		}
	}
	w.Close()
	f.Add(data.Bytes())
	f.Add(data.Bytes()[:700])
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := ReadTar(bytes.NewReader(data), 1)
		if err != nil {
			return
		}
		s := &Subject{Layers: []Layer{l}, Base: NewTree()}
		s.Base.Apply(l)
		for _, finding := range Run(s) {
			if finding.Rule == "" || finding.Happens == "" {
				t.Fatalf("%+v", finding)
			}
		}
	})
}
