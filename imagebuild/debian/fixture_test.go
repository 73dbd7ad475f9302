package debian

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// item is an entry of a data.tar that a test writes.
type item struct {
	name, data, target string
	kind               byte // a regular file if 0
	mode               int64
}

func file(name, data string) item { return item{name: name, data: data, mode: 0o644} }

func program(name, data string) item { return item{name: name, data: data, mode: 0o755} }

func folder(name string) item { return item{name: name, kind: tar.TypeDir, mode: 0o755} }

func symlink(name, target string) item {
	return item{name: name, kind: tar.TypeSymlink, target: target}
}

func hardlink(name, target string) item { return item{name: name, kind: tar.TypeLink, target: target} }

// tarOf writes a data.tar.
func tarOf(t testing.TB, items ...item) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, i := range items {
		h := &tar.Header{Name: i.name, Typeflag: i.kind, Linkname: i.target, Mode: i.mode}
		if i.kind == 0 {
			h.Typeflag, h.Size = tar.TypeReg, int64(len(i.data))
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, i.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// arOf writes an archive of members, given as name and contents in turn.
func arOf(members ...string) []byte {
	var b bytes.Buffer
	b.WriteString(arMagic)
	for i := 0; i < len(members); i += 2 {
		name, data := members[i], members[i+1]
		fmt.Fprintf(&b, "%-16s%-12d%-6d%-6d%-8s%-10d`\n%s", name, 0, 0, 0, "100644", len(data), data)
		if len(data)%2 == 1 {
			b.WriteByte('\n')
		}
	}
	return b.Bytes()
}

// debOf makes a package of a member's name and contents.
func debOf(member string, data []byte) []byte {
	return arOf("debian-binary", "2.0\n", "control.tar", "odd", member, string(data))
}

// deb is a package of items, not compressed.
func deb(t testing.TB, items ...item) []byte { return debOf("data.tar", tarOf(t, items...)) }

// compress packs data as the ending says.
func compress(t testing.TB, ending string, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	var err error
	switch ending {
	case ".xz":
		w, err = xz.WriterConfig{DictCap: 1 << 16}.NewWriter(&b) // not 8 MiB for each test
	case ".gz":
		w = gzip.NewWriter(&b)
	case ".zst":
		w, err = zstd.NewWriter(&b)
	default:
		return data
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// refused fails the test unless the error says all that is wanted.
func refused(t *testing.T, err error, want ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", want)
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the error is %q, want something with %q", err, w)
		}
	}
}
