package testimages

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"reflect"
	"slices"
	"testing"

	"slipway.build/slipway/imagebuild/debian"
)

func TestAPackageIsAddedWithoutWhatNoTestReads(t *testing.T) {
	tr := tree{"usr/bin": directory(0o700)}
	tr.add([]debian.Entry{
		{Path: "usr", Mode: fs.ModeDir | 0o755},
		{Path: "usr/bin", Mode: fs.ModeDir | 0o755},
		{Path: "usr/bin/su", Mode: 0o775, Data: []byte("su")},
		{Path: "usr/lib64/ld.so", Mode: fs.ModeSymlink | 0o777, Target: "../lib/ld.so"},
		{Path: "usr/share/man/man1/su.1", Mode: 0o644, Data: []byte("manual")},
		{Path: "usr/share/nginx/html/index.html", Mode: 0o644, Data: []byte("welcome")},
		{Path: "spool", Mode: fs.ModeDir | fs.ModeSticky | 0o777},
	}, needed)
	want := tree{
		"usr": directory(0o755), "usr/bin": directory(0o755), "usr/bin/su": executable([]byte("su")),
		"usr/lib64/ld.so": symlink("../lib/ld.so"), "usr/share/nginx/html/index.html": text("welcome"), "spool": directory(0o1777),
	}
	if !reflect.DeepEqual(tr, want) {
		t.Errorf("got  %v\nwant %v", tr, want)
	}
}

func TestALayerIsSortedAndHasItsParents(t *testing.T) {
	tr := tree{"b/c/file": text("x"), "a": symlink("b"), "b": directory(0o1777), "nnp": setuid(executable([]byte("y")))}
	first, err := tr.bytes()
	if err != nil {
		t.Fatal(err)
	}
	second, err := tr.bytes()
	if err != nil || !bytes.Equal(first, second) {
		t.Fatalf("twice the same tree, other bytes (%v)", err)
	}
	var got []string
	r := tar.NewReader(bytes.NewReader(first))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Uid != 0 || h.Gid != 0 || h.ModTime.Unix() != 0 {
			t.Errorf("%+v", h)
		}
		got = append(got, h.FileInfo().Mode().String()+" "+h.Name)
	}
	want := []string{"Lrwxrwxrwx a", "dtrwxrwxrwx b/", "drwxr-xr-x b/c/", "-rw-r--r-- b/c/file", "urwxr-xr-x nnp"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if _, err := (tree{"a": symlink("b"), "a/c": text("x")}).bytes(); err == nil {
		t.Error("a file beneath a link is taken")
	}
}

func TestTheTestsAreToldOfTheRegistry(t *testing.T) {
	const want = "promoterE2eRegistry: 192.0.2.1:5001/e2e-test-images\ngcRegistry: 192.0.2.1:5001\ngcEtcdRegistry: 192.0.2.1:5001\n"
	if got := string(Repositories("192.0.2.1:5001")); got != want {
		t.Errorf("got %s", got)
	}
}
