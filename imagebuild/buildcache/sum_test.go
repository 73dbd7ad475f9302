package buildcache

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestAFileIsNamedByItsContents(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	sum, n, err := Sum(file)
	if want := "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"; sum != want || n != 3 || err != nil {
		t.Errorf("got %s, %d bytes, %v", sum, n, err)
	}
	if _, _, err := Sum(file + ".none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file, and %v", err)
	}
	if _, _, err := Sum(filepath.Dir(file)); err == nil {
		t.Error("a directory has a sum")
	}
}
