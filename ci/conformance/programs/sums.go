package programs

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"

	"slipway.build/slipway/imagebuild/buildcache"
)

// sumsFile says what each program of a cache entry is, and is written last.
const sumsFile = "SHA256SUMS"

func writeSums(dir string) error {
	text, err := sums(dir)
	if err != nil {
		return err
	}
	if err := renameio.WriteFile(filepath.Join(dir, sumsFile), text, 0o644); err != nil {
		return fmt.Errorf("write the cache entry: %w", err)
	}
	return nil
}

// intact reports whether every program of a cache entry is there and is what was built.
func intact(dir string) bool {
	want, err := os.ReadFile(filepath.Join(dir, sumsFile))
	if err != nil {
		return false
	}
	got, err := sums(dir)
	return err == nil && bytes.Equal(got, want)
}

// sums is what sha256sum prints for the programs.
func sums(dir string) ([]byte, error) {
	var out bytes.Buffer
	names := []string{Certificate, Key}
	for _, p := range all() {
		names = append(names, p.Name)
	}
	for _, name := range names {
		sum, _, err := buildcache.Sum(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&out, "%s  %s\n", sum, name)
	}
	return out.Bytes(), nil
}
