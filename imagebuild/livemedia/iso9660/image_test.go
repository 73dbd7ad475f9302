package iso9660

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// image makes one of the files by Debian's tools.
func image(t testing.TB, tool []string, files map[string]string) []byte {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		name = filepath.Join(dir, "tree", name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	iso := filepath.Join(dir, "x.iso")
	cmd := exec.Command(tool[0], append(tool[1:], "-quiet", "-V", "VOLUME", "-o", iso, filepath.Join(dir, "tree"))...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v (make test-deps installs it): %v: %s", tool, err, out)
	}
	b, err := os.ReadFile(iso)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func tools() map[string][]string {
	return map[string][]string{
		"xorriso":                   {"xorriso", "-as", "mkisofs"},
		"xorriso with Rock Ridge":   {"xorriso", "-as", "mkisofs", "-R", "-J"},
		"genisoimage":               {"genisoimage"},
		"genisoimage, Joliet first": {"genisoimage", "-J", "-R", "-iso-level", "2"},
	}
}

func TestFilesAreFoundInImagesOfDebiansTools(t *testing.T) {
	want := map[string]string{"images/ignition.img": "area", "coreos/kargs.jso": "{}", "top.txt": "top", "efi/fedora/grub.cfg": "set"}
	for n := range 200 { // a directory of several sectors
		want[fmt.Sprintf("many/file%03d.txt", n)] = fmt.Sprint(n)
	}
	for name, tool := range tools() {
		t.Run(name, func(t *testing.T) {
			b := image(t, tool, want)
			i, err := Open(bytes.NewReader(b), int64(len(b)))
			if err != nil {
				t.Fatal(err)
			}
			if i.Volume != "VOLUME" {
				t.Errorf("volume %q", i.Volume)
			}
			for path, text := range want {
				e, err := i.Find("/" + path)
				if err != nil {
					t.Fatal(err)
				}
				if got := string(b[e.Offset : e.Offset+e.Length]); got != text {
					t.Errorf("%s = %q", path, got)
				}
			}
			for _, path := range []string{"none", "images", "images/none", "top.txt/x", ""} {
				if _, err := i.Find(path); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%q: %v", path, err)
				}
			}
			if _, err := i.ReadFile("top.txt", 2); err == nil {
				t.Error("a file over the limit is read")
			}
		})
	}
}

func TestWhatIsNoImageIsRefused(t *testing.T) {
	good := image(t, tools()["xorriso"], map[string]string{"a": "b"})
	with := func(at int, b ...byte) []byte {
		c := bytes.Clone(good)
		copy(c[at:], b)
		return c
	}
	root := 16*Sector + 156
	for name, b := range map[string][]byte{
		"nothing":                    nil,
		"zeros":                      make([]byte, 1<<20),
		"a short one":                good[:17*Sector-1],
		"another magic":              with(16*Sector+1, 'B'),
		"another block size":         with(16*Sector+128, 0, 4, 4, 0),
		"only a terminator":          with(16*Sector, 255),
		"a root beyond the end":      with(root+2, 0, 0, 0, 0x40, 0x40, 0, 0, 0),
		"a root of two byte orders":  with(root+2, 1, 2, 3, 4, 5, 6, 7, 8),
		"a root that is a file":      with(root+25, 0),
		"a root without a length":    with(root, 0),
		"descriptors without an end": bytes.Repeat(append([]byte("\x02CD001\x01"), make([]byte, Sector-7)...), 100),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Open(bytes.NewReader(b), int64(len(b))); err == nil {
				t.Error("accepted")
			}
		})
	}
}

// countReads says how many bytes of an image were looked at.
type countReads struct {
	io.ReaderAt
	n int
}

func (c *countReads) ReadAt(b []byte, at int64) (int, error) {
	c.n += len(b)
	return c.ReaderAt.ReadAt(b, at)
}

func TestLittleOfALargeImageIsRead(t *testing.T) {
	b := image(t, tools()["xorriso"], map[string]string{"images/a.img": string(make([]byte, 32<<20))})
	r := &countReads{ReaderAt: bytes.NewReader(b)}
	i, err := Open(r, int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := i.Find("images/a.img"); err != nil || r.n > 16<<10 {
		t.Errorf("%d bytes were read, %v", r.n, err)
	}
}

func FuzzFind(f *testing.F) {
	b := image(f, tools()["xorriso"], map[string]string{"images/a": "1", "b": "2"})
	f.Add(b[16*Sector:19*Sector], b[len(b)-150*Sector:][:4*Sector], "images/a")
	f.Fuzz(func(t *testing.T, descriptors, rest []byte, path string) {
		b := append(append(make([]byte, SystemArea), descriptors...), rest...)
		i, err := Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		if e, err := i.Find(path); err == nil && (e.Offset < 0 || e.Length < 0 || e.Offset+e.Length > int64(len(b))) {
			t.Errorf("%+v of %d bytes", e, len(b))
		}
	})
}
