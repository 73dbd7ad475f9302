package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/google/renameio/v2"

	"slipway.build/slipway/imagebuild/buildcache"
)

// record is the result of a stage that has held, as it is kept under its key.
type record struct {
	Stage   string                     `json:"stage"`
	Version int                        `json:"version"`
	Inputs  []InputDigest              `json:"inputs"`
	Outputs []OutputDigest             `json:"outputs,omitempty"`
	Facts   map[string]json.RawMessage `json:"facts,omitempty"`
	Began   time.Time                  `json:"began"`
	Seconds float64                    `json:"seconds"`
}

// OutputDigest is what a stage has made.
type OutputDigest struct {
	Name   string `json:"name"`
	Digest string `json:"digest"`
	Size   int64  `json:"size"` // bytes
}

// store is the directory of results. A result is a file results/<key>.json, written in one step
// once everything that it names is in objects/; so what was killed leaves no result.
type store struct{ dir string }

func openStore(dir string) (store, error) {
	s := store{dir}
	for _, name := range []string{"objects", "results", "locks", "work"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			return s, fmt.Errorf("open the pipeline's cache: %w; set SLIPWAY_CACHE to a directory that can be written", err)
		}
	}
	return s, nil
}

func (s store) object(digest string) string {
	return filepath.Join(s.dir, "objects", strings.TrimPrefix(digest, "sha256:"))
}

func (s store) result(key string) string { return filepath.Join(s.dir, "results", key+".json") }

func (s store) work(key string) string { return filepath.Join(s.dir, "work", key) }

// load returns the result of a key, if there is one and all of its outputs are what they were.
func (s store) load(ctx context.Context, key string) (*record, bool) {
	text, err := os.ReadFile(s.result(key))
	if err != nil {
		return nil, false
	}
	r := new(record)
	if json.Unmarshal(text, r) != nil {
		return nil, false
	}
	for _, o := range r.Outputs {
		if digest, _, err := treeDigest(ctx, s.object(o.Digest), nil); err != nil || digest != o.Digest {
			return nil, false
		}
	}
	return r, true
}

// keep moves an output of a stage to its place.
func (s store) keep(ctx context.Context, name, path string) (OutputDigest, error) {
	digest, size, err := treeDigest(ctx, path, nil)
	if err != nil {
		return OutputDigest{}, fmt.Errorf("output %s: %w", name, err)
	}
	out, to := OutputDigest{name, digest, size}, s.object(digest)
	if there, _, err := treeDigest(ctx, to, nil); err == nil && there == digest {
		return out, nil // the same content was made before; this one goes with the work directory
	}
	for {
		err := os.Rename(path, to)
		if !errors.Is(err, fs.ErrExist) && !errors.Is(err, syscall.ENOTEMPTY) && !errors.Is(err, syscall.ENOTDIR) && !errors.Is(err, syscall.EISDIR) {
			if err != nil {
				return out, fmt.Errorf("keep output %s: %w", name, err)
			}
			return out, nil
		}
		// A damaged object is in the way.
		if err := os.RemoveAll(to); err != nil {
			return out, fmt.Errorf("replace output %s: %w", name, err)
		}
	}
}

func (s store) save(key string, r *record) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := renameio.WriteFile(s.result(key), text, 0o644); err != nil {
		return fmt.Errorf("record the result: %w", err)
	}
	return nil
}

// lock takes the exclusive lock of a file in locks/ across processes; waiting is called once if it
// is held. It ends with the returned function, or with the process.
func (s store) lock(ctx context.Context, name string, waiting func()) (func(), error) {
	return buildcache.Exclusive(ctx, filepath.Join(s.dir, "locks", name+".lock"), waiting)
}
