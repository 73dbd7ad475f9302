package debian

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestAPackageIsReadInItsOrderAndMerged(t *testing.T) {
	got, err := Read(bytes.NewReader(deb(t,
		folder("./"), folder("./bin/"), folder("./usr/"), folder("./usr/bin/"),
		item{name: "./bin/su", data: "su", mode: 0o6755},
		hardlink("./usr/bin/also", "./bin/su"),
		symlink("./lib64/ld.so.2", "/lib/x/ld.so"),
		symlink("./usr/lib/up", "../../etc"),
		item{name: "./tmp/", kind: tar.TypeDir, mode: 0o3777},
		file("./etc/motd", "hello"),
	)))
	if err != nil {
		t.Fatal(err)
	}
	want := []Entry{
		{Path: "usr/bin", Mode: fs.ModeDir | 0o755},
		{Path: "usr", Mode: fs.ModeDir | 0o755},
		{Path: "usr/bin/su", Mode: 0o755, Data: []byte("su")}, // neither set-uid nor set-gid
		{Path: "usr/bin/also", Mode: 0o755, Data: []byte("su")},
		{Path: "usr/lib64/ld.so.2", Mode: fs.ModeSymlink | 0o777, Target: "/lib/x/ld.so"},
		{Path: "usr/lib/up", Mode: fs.ModeSymlink | 0o777, Target: "../../etc"},
		{Path: "tmp", Mode: fs.ModeDir | fs.ModeSticky | 0o777},
		{Path: "etc/motd", Mode: 0o644, Data: []byte("hello")},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestWhatDpkgDebPacksIsRead(t *testing.T) {
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		t.Skip("dpkg-deb is missing")
	}
	root := t.TempDir()
	control := "Package: small\nVersion: 1.0\nArchitecture: all\nMaintainer: nobody <nobody@example.org>\nDescription: small\n"
	for name, text := range map[string]string{"DEBIAN/control": control, "usr/bin/small": strings.Repeat("#!/bin/sh\n", 10_000), "etc/small.conf": "x"} {
		at := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("small", filepath.Join(root, "usr/bin/smaller")); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(filepath.Join(root, "usr/bin/small"), filepath.Join(root, "usr/bin/twin")); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"none", "gzip", "xz", "zstd"} {
		t.Run(kind, func(t *testing.T) {
			made := filepath.Join(t.TempDir(), "small.deb")
			if out, err := exec.Command("dpkg-deb", "--root-owner-group", "-Z"+kind, "--build", root, made).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			raw, err := os.ReadFile(made)
			if err != nil {
				t.Fatal(err)
			}
			all, err := Read(bytes.NewReader(raw))
			if err != nil {
				t.Fatal(err)
			}
			size := map[string]int{}
			for _, e := range all {
				if !e.Mode.IsDir() {
					size[e.Path] = len(e.Data) + len(e.Target)
				}
			}
			if want := map[string]int{"usr/bin/small": 100_000, "usr/bin/twin": 100_000, "usr/bin/smaller": 5, "etc/small.conf": 1}; !reflect.DeepEqual(size, want) {
				t.Errorf("got %v, want %v", size, want)
			}
			for _, n := range []int{len(raw) / 2, len(raw) - 20} {
				if _, err := Read(bytes.NewReader(raw[:n])); err == nil {
					t.Errorf("the first %d of %d bytes are a package", n, len(raw))
				}
			}
		})
	}
}

func TestAHostilePackageIsRefused(t *testing.T) {
	device := func(kind byte) item { return item{name: "./dev/x", kind: kind} }
	for _, tt := range []struct {
		name  string
		items []item
		want  string
	}{
		{"a path that leaves the root", []item{file("./../etc/passwd", "")}, "not beneath the root"},
		{"a path that leaves it in the middle", []item{file("./usr/../../etc/passwd", "")}, "not beneath the root"},
		{"a directory that leaves it", []item{folder("../x/")}, "not beneath the root"},
		{"an absolute path", []item{file("/etc/passwd", "")}, "not beneath the root"},
		{"a file in the root's place", []item{file("./.", "")}, "not beneath the root"},
		{"a path that is no text", []item{file("./a\xff", "")}, "not beneath the root"},
		{"a path that is too long", []item{file("./"+strings.Repeat("long/", 1000)+"x", "")}, "not beneath the root"},
		{"a link that leads out", []item{symlink("./usr/lib/x", "../../../etc/shadow")}, "usr/lib/x is a link to"},
		{"a link out of the root itself", []item{symlink("./x", "..")}, "not beneath the root"},
		{"an absolute link that leads out", []item{symlink("./usr/lib/x", "/../etc/shadow/../../..")}, "not beneath the root"},
		{"a link to nothing", []item{symlink("./x", "")}, "not beneath the root"},
		{"a hard link that leads out", []item{hardlink("./x", "../etc/shadow")}, "x is a hard link"},
		{"a hard link to an absolute path", []item{hardlink("./x", "/etc/shadow")}, "x is a hard link"},
		{"a hard link to what is not there", []item{hardlink("./x", "./y")}, "no file of that name came before"},
		{"a hard link to a link", []item{symlink("./y", "etc"), hardlink("./x", "./y")}, "no file of that name"},
		{"a hard link to a directory", []item{folder("./y/"), hardlink("./x", "./y")}, "no file of that name"},
		{"a character device", []item{device(tar.TypeChar)}, "dev/x has the type"},
		{"a block device", []item{device(tar.TypeBlock)}, "dev/x has the type"},
		{"a named pipe", []item{device(tar.TypeFifo)}, "dev/x has the type"},
		{"a file beneath a link", []item{symlink("./a", "etc"), file("./a/passwd", "")}, "a/passwd is beneath a, which is no directory"},
		{"a file far beneath a link", []item{symlink("./a", "etc"), file("./a/b/c", "")}, "a/b/c is beneath a, which"},
		{"a link above a file", []item{file("./a/b/passwd", ""), symlink("./a", "etc")}, "a/b/passwd is beneath a, which"},
		{"a file in a directory's place", []item{folder("./a/"), file("./a", "")}, "a is there twice"},
		{"a file twice", []item{file("./a", "1"), file("./a", "2")}, "a is there twice"},
		{"a file in both places of a merged /usr", []item{file("./bin/a", "1"), file("./usr/bin/a", "2")}, "usr/bin/a is there twice"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Read(bytes.NewReader(deb(t, tt.items...)))
			refused(t, err, tt.want)
		})
	}
}

func TestAPackageOfAnotherFormIsRefused(t *testing.T) {
	data := string(tarOf(t, file("./a", "1")))
	for _, tt := range []struct {
		name string
		raw  []byte
		want string
	}{
		{"no debian-binary", arOf("data.tar", data), `begins with the member "data.tar"`},
		{"no member", arOf(), "not a Debian package"},
		{"a format of the future", arOf("debian-binary", "3.0\n", "data.tar", data), `format is "3.0"`},
		{"no data.tar", arOf("debian-binary", "2.0\n", "control.tar", data), "no member data.tar"},
		{"another compression", debOf("data.tar.lz4", []byte(data)), "data.tar.lz4: a compression that is not known"},
		{"an xz that is none", debOf("data.tar.xz", []byte(data)), "data.tar.xz: "},
		{"a gzip that is none", debOf("data.tar.gz", []byte(data)), "data.tar.gz: "},
		{"a zstd that is none", debOf("data.tar.zst", []byte(data)), "data.tar.zst: "},
		{"an empty xz", debOf("data.tar.xz", nil), "unexpected EOF"},
		{"an empty gzip", debOf("data.tar.gz", nil), "unexpected EOF"},
		{"bytes after an xz", debOf("data.tar.xz", append(compress(t, ".xz", []byte(data)), "more"...)), "data.tar.xz: "},
		{"a tar that is none", debOf("data.tar", bytes.Repeat([]byte("no tar"), 500)), "data.tar: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Read(bytes.NewReader(tt.raw))
			refused(t, err, tt.want)
		})
	}
}

func TestAPackageThatIsCutOffIsRefusedWhereverThatIs(t *testing.T) {
	data := tarOf(t, folder("./usr/"), program("./usr/bin/x", strings.Repeat("program ", 300)), symlink("./usr/bin/y", "x"))
	for _, ending := range []string{"", ".gz", ".xz", ".zst"} {
		t.Run("data.tar"+ending, func(t *testing.T) {
			raw := debOf("data.tar"+ending, compress(t, ending, data))
			if _, err := Read(bytes.NewReader(raw)); err != nil {
				t.Fatal(err)
			}
			last := len(raw)
			if compressed := compress(t, ending, data); len(compressed)%2 == 1 {
				last-- // the byte that fills up
			}
			for n := range last {
				if _, err := Read(bytes.NewReader(raw[:n])); err == nil {
					t.Fatalf("the first %d of %d bytes are a package", n, len(raw))
				}
			}
		})
	}
}

func TestAFlippedBitInACompressedPackageIsSeen(t *testing.T) {
	data := tarOf(t, program("./usr/bin/x", strings.Repeat("program ", 300)))
	for _, ending := range []string{".gz", ".xz", ".zst"} {
		t.Run(ending, func(t *testing.T) {
			compressed := compress(t, ending, data)
			want, err := Read(bytes.NewReader(debOf("data.tar"+ending, compressed)))
			if err != nil {
				t.Fatal(err)
			}
			for i := range compressed {
				changed := bytes.Clone(compressed)
				changed[i] ^= 4
				got, err := Read(bytes.NewReader(debOf("data.tar"+ending, changed)))
				if err == nil && !reflect.DeepEqual(got, want) { // a bit of a time stamp changes nothing
					t.Fatalf("byte %d changed, and the package is read as something else", i)
				}
			}
		})
	}
}

func TestAPackageThatIsTooLargeIsRefused(t *testing.T) {
	small := limits{bytes: 64 << 10, entries: 10}
	zeros := strings.Repeat("\x00", 48<<10)
	var many []item
	for i := range 11 {
		many = append(many, file(fmt.Sprintf("./%d", i), ""))
	}
	for _, tt := range []struct {
		name string
		raw  []byte
		want string
	}{
		{"a file", debOf("data.tar.gz", compress(t, ".gz", tarOf(t, file("./a", zeros+zeros)))), "a: the package unpacks to more than 65536 bytes"},
		{"files together", debOf("data.tar.xz", compress(t, ".xz", tarOf(t, file("./a", zeros), file("./b", zeros)))), "b: the package unpacks to more than"},
		{"what follows the files", debOf("data.tar.gz", compress(t, ".gz", append(tarOf(t), zeros+zeros...))), "unpacks to more than"},
		{"a file by many names", deb(t, file("./a", zeros), hardlink("./b", "./a")), "b: the package unpacks to more than"},
		{"a sparse file", debOf("data.tar", sparse(t, 1<<40)), "a: the package unpacks to more than"},
		{"entries", deb(t, many...), "more than 10 entries"},
		{"directories of one entry", deb(t, file("./"+strings.Repeat("a/", 20)+"b", "")), "more than 10 entries"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := read(bytes.NewReader(tt.raw), small)
			refused(t, err, tt.want)
		})
	}
}

// sparse is a tar with one file that is a hole, in the form of PAX 0.1.
func sparse(t *testing.T, size int64) []byte {
	t.Helper()
	var b bytes.Buffer
	record := func(key, value string) {
		n := len(key) + len(value) + 3
		for n != len(fmt.Sprintf("%d %s=%s\n", n, key, value)) {
			n++
		}
		fmt.Fprintf(&b, "%d %s=%s\n", n, key, value)
	}
	record("GNU.sparse.size", fmt.Sprint(size))
	record("GNU.sparse.numblocks", "1")
	record("GNU.sparse.map", fmt.Sprintf("%d,0", size))
	records := b.String()
	raw := tarOf(t, item{name: "PaxHeaders/a", data: records}, file("./a", ""))
	raw[156] = tar.TypeXHeader // and the sum of the header with it
	copy(raw[148:156], "        ")
	sum := 0
	for _, c := range raw[:512] {
		sum += int(c)
	}
	copy(raw[148:156], fmt.Sprintf("%06o\x00 ", sum))
	return raw
}

// endless gives zeros, and counts them.
type endless struct{ n int64 }

func (e *endless) Read(p []byte) (int, error) {
	clear(p)
	e.n += int64(len(p))
	return len(p), nil
}

func TestNothingIsReadFarBeyondTheLimit(t *testing.T) {
	var e endless
	b := &bounded{r: &e, left: 1000, limit: 1000}
	n, err := io.Copy(io.Discard, b)
	refused(t, err, "more than 1000 bytes")
	if n > 1000 || e.n > 1001 {
		t.Errorf("%d bytes were given on, %d read", n, e.n)
	}
}

func FuzzRead(f *testing.F) {
	data := tarOf(f, folder("./usr/"), program("./bin/x", "x"), hardlink("./bin/y", "./bin/x"), symlink("./usr/z", "../bin/x"))
	f.Add(debOf("data.tar", data))
	f.Add(debOf("data.tar", tarOf(f, symlink("./a", "b"), file("./a/c", ""))))
	for _, ending := range []string{".gz", ".xz", ".zst"} {
		f.Add(debOf("data.tar"+ending, compress(f, ending, data)))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		all, err := read(bytes.NewReader(raw), limits{bytes: 1 << 20, entries: 1000})
		if err != nil {
			return
		}
		sound(t, all)
	})
}

// FuzzDataTar changes the tar itself, which no sum protects.
func FuzzDataTar(f *testing.F) {
	f.Add(tarOf(f, folder("./usr/"), program("./bin/x", "x"), hardlink("./bin/y", "./bin/x"), symlink("./usr/z", "../bin/x")))
	f.Add(tarOf(f, symlink("./a", "b"), file("./a/c", "")))
	f.Add(tarOf(f, file("./"+strings.Repeat("long/", 60)+"a", "")))
	f.Fuzz(func(t *testing.T, raw []byte) {
		all, err := read(bytes.NewReader(debOf("data.tar", raw)), limits{bytes: 1 << 20, entries: 1000})
		if err != nil {
			return
		}
		sound(t, all)
	})
}

// sound fails the test if the entries could not be unpacked to a directory safely.
func sound(t *testing.T, all []Entry) {
	t.Helper()
	kind := map[string]fs.FileMode{}
	total := 0
	for _, e := range all {
		if _, twice := kind[e.Path]; twice || !fs.ValidPath(e.Path) || e.Path == "." || Merge(e.Path) != e.Path {
			t.Errorf("the path %q", e.Path)
		}
		if e.Mode&^(fs.ModeDir|fs.ModeSymlink|fs.ModeSticky|fs.ModePerm) != 0 || (e.Mode&fs.ModeSymlink != 0) != (e.Target != "") {
			t.Errorf("%s has the mode %v and leads to %q", e.Path, e.Mode, e.Target)
		}
		if to := path.Join(path.Dir(e.Path), e.Target); !path.IsAbs(e.Target) && (to == ".." || strings.HasPrefix(to, "../")) {
			t.Errorf("%s leads to %q", e.Path, e.Target)
		}
		kind[e.Path] = e.Mode.Type()
		total += len(e.Data)
	}
	for name := range kind {
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if m, found := kind[dir]; found && !m.IsDir() {
				t.Errorf("%s is beneath %s, a %v", name, dir, m)
			}
		}
	}
	if total > 1<<20 {
		t.Errorf("%d bytes", total)
	}
}
