package component

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"slipway.build/slipway/test/smalldisk"
)

// filesOn are the regular files of a disk that take room.
func filesOn(t *testing.T, disk string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(disk, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		st, err := d.Info()
		if err == nil && st.Size() > 0 {
			all = append(all, strings.TrimPrefix(name, disk+"/"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// noise is a file that no compressor makes smaller.
func noise(t *testing.T, size int) string {
	t.Helper()
	data := make([]byte, size)
	_, _ = rand.Read(data)
	file := filepath.Join(t.TempDir(), "noise")
	if err := os.WriteFile(file, data, 0o755); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestAFullDiskEndsAPackingAndKeepsNothingOfIt(t *testing.T) {
	disk := smalldisk.Mount(t, 1<<20)
	for _, forms := range [][]Form{{Zstd}, {Gzip}, Forms()} {
		_, err := PackFiles(t.Context(), disk, forms, Files{
			Name: "noise", Version: "v1", Platform: "linux/amd64", Paths: map[string]string{"usr/bin/noise": noise(t, 3<<20)},
		})
		if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "pack noise") {
			t.Errorf("%v: error = %v, want that of a full disk, and the image", forms, err)
		}
		if left := filesOn(t, disk); len(left) != 0 {
			t.Errorf("%v: left behind: %v", forms, left)
		}
	}
}

func TestAFullDiskLeavesALayoutAsItWas(t *testing.T) {
	disk, cache := smalldisk.Mount(t, 1<<20), t.TempDir()
	layout := filepath.Join(disk, "layout")
	packed := func(name string, size int) Built {
		t.Helper()
		b, err := PackFiles(t.Context(), cache, Forms(), Files{
			Name: name, Version: "v1", Platform: "linux/amd64", Paths: map[string]string{"usr/bin/" + name: noise(t, size)},
		})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	small := packed("small", 1<<10)
	if err := WriteLayout(layout, []Built{small}); err != nil {
		t.Fatal(err)
	}
	before := filesOn(t, disk)
	err := WriteLayout(layout, []Built{small, packed("large", 3<<20)})
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "write large into the OCI layout") {
		t.Errorf("error = %v, want that of a full disk, and the image", err)
	}
	known := map[string]bool{}
	for _, name := range before {
		known[name] = true
	}
	for _, name := range filesOn(t, disk) {
		if base := filepath.Base(name); !known[name] && !hasDigest(filepath.Join(disk, name), "sha256:"+base) {
			t.Errorf("left behind: %s, which is no whole blob", name)
		}
	}
	if text, err := os.ReadFile(filepath.Join(layout, "index.json")); err != nil || strings.Contains(string(text), "large") {
		t.Errorf("the index: %v, %s", err, text)
	}
	if err := WriteLayout(layout, []Built{small}); err != nil {
		t.Error(err)
	}
}
