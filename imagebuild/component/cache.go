package component

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"

	"slipway.build/slipway/imagebuild/buildcache"
)

// cache is one directory of entries. An entry is a directory named by the key of its inputs,
// with entry.json, written last, that says what is in it. It is made under another name and
// renamed when complete, so an entry that is there is whole, unless somebody changed it.
type cache struct{ dir string }

// openCache opens one of the caches beneath dir: "compiled" or "packed".
func openCache(dir, name string) (cache, error) {
	c := cache{filepath.Join(dir, name)}
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return c, fmt.Errorf("open the build cache: %w; set SLIPWAY_CACHE to a directory that can be written", err)
	}
	return c, nil
}

// entry is the directory of one key.
func (c cache) entry(key string) entry { return entry{filepath.Join(c.dir, key)} }

type entry struct{ dir string }

// file is a file of the entry.
func (e entry) file(name string) string { return filepath.Join(e.dir, name) }

// read reads what the entry says about itself; false if it is not there or damaged.
func (e entry) read(v any) bool {
	b, err := os.ReadFile(e.file("entry.json"))
	return err == nil && json.Unmarshal(b, v) == nil
}

// scratch makes the empty directory in which the entry is prepared; what a killed build left
// there is removed.
func (e entry) scratch() (entry, error) {
	w := entry{e.dir + ".work"}
	if err := os.RemoveAll(w.dir); err != nil {
		return w, fmt.Errorf("clear cache entry: %w", err)
	}
	if err := os.MkdirAll(w.dir, 0o755); err != nil {
		return w, fmt.Errorf("make cache entry: %w", err)
	}
	return w, nil
}

// discard removes a scratch directory that was not stored; after store there is none.
func (e entry) discard() { _ = os.RemoveAll(e.dir) }

// store writes entry.json and gives the finished scratch directory the entry's name.
func (e entry) store(v any, work entry) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	if err := renameio.WriteFile(work.file("entry.json"), b, 0o644); err != nil {
		return fmt.Errorf("write cache entry: %w", err)
	}
	if err := os.RemoveAll(e.dir); err != nil { // a damaged entry
		return fmt.Errorf("replace cache entry: %w", err)
	}
	if err := os.Rename(work.dir, e.dir); err != nil {
		return fmt.Errorf("write cache entry: %w", err)
	}
	return nil
}

// lock takes the exclusive lock of a key across processes; waiting is called once if it is held.
func (c cache) lock(ctx context.Context, key string, waiting func()) (func(), error) {
	return buildcache.Exclusive(ctx, filepath.Join(c.dir, key+".lock"), waiting)
}

func hasDigest(file, digest string) bool {
	sum, _, err := buildcache.Sum(file)
	return err == nil && digest == "sha256:"+sum
}

// writeChanged replaces a file's contents in one step, if they differ.
func writeChanged(file string, contents []byte) error {
	if old, err := os.ReadFile(file); err == nil && bytes.Equal(old, contents) {
		return nil
	}
	if err := renameio.WriteFile(file, contents, 0o644); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return nil
}
