package initrd

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os/exec"
	"reflect"
	"strings"
	"testing"
)

func files() Files {
	return Files{"config.ign": []byte("{}\n"), "etc/a/b": []byte("12345"), "empty": {}}
}

func TestAnArchiveIsTheSameBytesEachTimeAndReadsBack(t *testing.T) {
	b, err := Encode(files())
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := Encode(files()); !bytes.Equal(b, again) {
		t.Error("other bytes the second time")
	}
	got, n, err := Decode(append(bytes.Clone(b), make([]byte, 100)...))
	if err != nil || n != len(b) || len(got["empty"]) != 0 {
		t.Fatalf("%d of %d bytes, %v", n, len(b), err)
	}
	want := files()
	delete(want, "empty")
	delete(got, "empty")
	if !reflect.DeepEqual(got, want) {
		t.Errorf("read %v", got)
	}
}

// run feeds the input to a program of Debian's.
func run(t *testing.T, in []byte, name string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Stdin = bytes.NewReader(in)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s (make test-deps installs it): %v", name, err)
	}
	return out
}

func TestArchivesOfOtherProgramsAreRead(t *testing.T) {
	plain := run(t, nil, "sh", "-euc", "d=$(mktemp -d); cd $d; mkdir -p etc/a; printf '{}\n' >config.ign; printf 12345 >etc/a/b; : >empty; find . | cpio -o -H newc --quiet; rm -rf $d")
	for name, b := range map[string][]byte{
		"cpio":        plain,
		"xz -9":       run(t, plain, "xz", "-9", "--check=crc32"),
		"xz sha256":   run(t, plain, "xz", "--check=sha256"),
		"xz crc64":    run(t, plain, "xz", "--check=crc64"),
		"xz no check": run(t, plain, "xz", "--check=none"),
		"xz blocks":   run(t, plain, "xz", "--block-size=256"),
		"gzip":        run(t, plain, "gzip"),
		"zstd":        run(t, plain, "zstd", "-q"),
	} {
		t.Run(name, func(t *testing.T) {
			got, n, err := Decode(append(bytes.Clone(b), make([]byte, 64)...))
			if err != nil {
				t.Fatal(err)
			}
			if string(got["config.ign"]) != "{}\n" || string(got["etc/a/b"]) != "12345" || len(got) != 3 {
				t.Errorf("read %v", got)
			}
			if strings.HasPrefix(name, "xz") {
				if n != len(b) {
					t.Errorf("it takes %d of %d bytes", n, len(b))
				}
				early := bytes.Repeat([]byte("early"), 1000)
				if _, at, err := Last(bytes.NewReader(append(early, b...)), int64(len(early)+len(b))); err != nil || at != int64(len(early)) {
					t.Errorf("behind %d bytes it is found at %d, %v", len(early), at, err)
				}
			}
		})
	}
}

func TestAnyFlippedByteOfAnArchiveIsNoticed(t *testing.T) {
	b, err := Encode(files())
	if err != nil {
		t.Fatal(err)
	}
	for i := range b {
		damaged := bytes.Clone(b)
		damaged[i] ^= 0x10
		got, n, err := Decode(damaged)
		if err == nil && n == len(b) && !reflect.DeepEqual(keys(got), keys(files())) {
			t.Errorf("byte %d: other files, and no error", i)
		}
		for name, data := range got {
			if err == nil && !bytes.Equal(data, files()[name]) {
				t.Errorf("byte %d: other contents of %s, and no error", i, name)
			}
		}
		if _, _, err := Decode(b[:i]); err == nil {
			t.Errorf("cut off at %d: no error", i)
		}
	}
}

func keys(f Files) []string { return f.paths() }

func TestADictionaryThatWouldFillTheMemoryIsRefused(t *testing.T) {
	b, err := Encode(files())
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(b[:32], []byte{0x21, 1}) + 2
	if at < 3 {
		t.Fatalf("no LZMA2 filter in %s", hex.EncodeToString(b[:32]))
	}
	b[at] = 40 // 4 GiB
	if _, _, err := Decode(b); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "dictionary") {
		t.Errorf("error = %v", err)
	}
}

func TestPathsThatCannotBeInAnArchiveAreRefused(t *testing.T) {
	for _, p := range []string{"", "/etc/x", "../x", "a/../b", "a//b", "a/", trailer, "x\x00y", strings.Repeat("x", 5000)} {
		if _, err := Encode(Files{p: nil}); err == nil {
			t.Errorf("%q is accepted", p)
		}
	}
	if _, err := Encode(Files{"a": nil, "a/b": nil}); err == nil {
		t.Error("a file that is a directory, too, is accepted")
	}
}

func FuzzDecode(f *testing.F) {
	b, err := Encode(files())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(files().cpio())
	f.Add(append(bytes.Clone(b), b...))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, n, err := Decode(data)
		if err == nil && (n > len(data) || got == nil) {
			t.Errorf("%d of %d bytes, %v", n, len(data), got)
		}
		if _, at, err := Last(bytes.NewReader(data), int64(len(data))); err == nil && (at < 0 || at > int64(len(data))) {
			t.Errorf("at %d of %d", at, len(data))
		}
	})
}
