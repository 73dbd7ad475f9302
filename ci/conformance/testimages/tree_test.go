package testimages

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

func archive(t *testing.T, headers ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		content := ""
		if h.Typeflag == tar.TypeReg {
			content = "content of " + h.Name
			h.Size = int64(len(content))
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func everything(string) bool { return true }

func TestAPackageUnpacksIntoAMergedTree(t *testing.T) {
	raw := archive(t,
		tar.Header{Typeflag: tar.TypeDir, Name: "./", Mode: 0o755},
		tar.Header{Typeflag: tar.TypeDir, Name: "./bin/", Mode: 0o755},
		tar.Header{Typeflag: tar.TypeReg, Name: "./bin/su", Mode: 0o4755},
		tar.Header{Typeflag: tar.TypeLink, Name: "./usr/bin/also", Linkname: "./bin/su"},
		tar.Header{Typeflag: tar.TypeSymlink, Name: "./lib64/ld.so", Linkname: "../lib/ld.so"},
		tar.Header{Typeflag: tar.TypeReg, Name: "./usr/share/man/man1/su.1", Mode: 0o644},
	)
	tr := tree{}
	if err := tr.addTar(bytes.NewReader(raw), needed, merged); err != nil {
		t.Fatal(err)
	}
	if n := tr["usr/bin/su"]; n.mode != 0o755 || string(n.content) != "content of ./bin/su" {
		t.Errorf("the program: %o %q", n.mode, n.content)
	}
	if string(tr["usr/bin/also"].content) != string(tr["usr/bin/su"].content) {
		t.Error("the hard link has other contents")
	}
	if tr["usr/lib64/ld.so"].target != "../lib/ld.so" {
		t.Errorf("the link: %+v", tr["usr/lib64/ld.so"])
	}
	if _, there := tr["usr/share/man/man1/su.1"]; there {
		t.Error("the manual came along")
	}
}

func TestAHostilePackageIsRefused(t *testing.T) {
	tests := []struct {
		name, want string
		header     tar.Header
	}{
		{"a path that climbs", "outside", tar.Header{Typeflag: tar.TypeReg, Name: "../etc/passwd"}},
		{"an absolute path", "outside", tar.Header{Typeflag: tar.TypeReg, Name: "/etc/passwd"}},
		{"a device", "no place", tar.Header{Typeflag: tar.TypeChar, Name: "dev/sda"}},
		{"a hard link to the outside", "outside", tar.Header{Typeflag: tar.TypeLink, Name: "a", Linkname: "../b"}},
		{"a hard link to nothing", "not there", tar.Header{Typeflag: tar.TypeLink, Name: "a", Linkname: "b"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tree{}.addTar(bytes.NewReader(archive(t, tt.header)), everything, merged)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want something with %q", err, tt.want)
			}
		})
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

func TestPackageNamesAreRead(t *testing.T) {
	p, err := parseName("busybox-static_1%3a1.35.0-4+deb12u1+b1_amd64.deb")
	if err != nil || p != (Package{Name: "busybox-static", Version: "1:1.35.0-4+deb12u1+b1", Arch: "amd64"}) {
		t.Errorf("got %+v, %v", p, err)
	}
	for _, bad := range []string{"busybox.deb", "a_%zz_amd64.deb", ""} {
		if p, err := parseName(bad); err == nil {
			t.Errorf("%q gave %+v", bad, p)
		}
	}
}

func TestTheTestsAreToldOfTheRegistry(t *testing.T) {
	const want = "promoterE2eRegistry: 192.0.2.1:5001/e2e-test-images\ngcRegistry: 192.0.2.1:5001\ngcEtcdRegistry: 192.0.2.1:5001\n"
	if got := string(Repositories("192.0.2.1:5001")); got != want {
		t.Errorf("got %s", got)
	}
}
