package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"
)

// The packings are processes of their own, and run this same program.
func TestMain(m *testing.M) {
	if os.Getenv("SLIPT_REPRODUCIBLE") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestTenPackingsAreIdentical(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles two images; not in short mode")
	}
	if err := run(t.Context(), "../..", 10, ""); err != nil {
		t.Fatal(err)
	}
}

func TestADifferenceIsSeen(t *testing.T) {
	dir := t.TempDir()
	sum := func() string {
		t.Helper()
		d, err := treeDigest(dir)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	empty := sum()
	if err := os.WriteFile(filepath.Join(dir, "a"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if sum() == empty {
		t.Error("a new file does not change the digest")
	}
	if _, err := pack(context.Background(), dir); err == nil {
		t.Error("nothing was packed without an error")
	}
}
