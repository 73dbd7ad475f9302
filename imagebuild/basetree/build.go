package basetree

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"slipway.build/slipway/imagebuild/buildcache"
)

// Options say how to build a tree.
type Options struct {
	// Cache is the directory that trees are kept in; it is made when missing.
	Cache string
	// Mirror is the URL of a Debian archive. Default: the one that apt of this machine uses for
	// the suite, else Debian's own.
	Mirror string
	// Progress, when set, is called with each step; not concurrently.
	Progress func(Progress)
}

// Progress is one step of a build.
type Progress struct {
	Step string // "retrieve", "validate", "extract", "unpack", "configure", "trim"
	Item string // the package, where the step has one
}

// Path returns where the tree of the present recipe is, or will be, below the cache.
func Path(cache string) string { return filepath.Join(cache, "basetree", debian().digest()) }

// Build returns the directory of the tree, and makes the tree first when it is not there.
// Only one build runs at a time on a cache; others wait for it and take its tree. Root is
// required, and debootstrap.
func Build(ctx context.Context, opts Options) (string, error) {
	if opts.Cache == "" || !filepath.IsAbs(opts.Cache) {
		return "", fmt.Errorf("build base tree: cache %q is no absolute path", opts.Cache)
	}
	return build(ctx, opts, debian(), debootstrap)
}

// installer fills an empty directory with an installed Debian.
type installer func(ctx context.Context, opts Options, r recipe, dir string) error

func build(ctx context.Context, opts Options, r recipe, install installer) (string, error) {
	if opts.Progress == nil {
		opts.Progress = func(Progress) {}
	}
	top := filepath.Join(opts.Cache, "basetree")
	tree := filepath.Join(top, r.digest())
	if _, err := os.Stat(tree); err == nil {
		return tree, nil
	}
	if err := os.MkdirAll(top, 0o755); err != nil {
		return "", fmt.Errorf("build base tree: %w", err)
	}
	unlock, err := buildcache.Exclusive(ctx, filepath.Join(top, ".lock"), nil)
	if err != nil {
		return "", fmt.Errorf("build base tree: %w", err)
	}
	defer unlock()
	if _, err := os.Stat(tree); err == nil {
		return tree, nil // by the one that we waited for
	}
	work := filepath.Join(top, ".work")
	if err := os.RemoveAll(work); err != nil { // of a build that was killed
		return "", fmt.Errorf("build base tree: clear an interrupted build: %w", err)
	}
	if err := os.Mkdir(work, 0o755); err != nil {
		return "", fmt.Errorf("build base tree: %w", err)
	}
	err = install(ctx, opts, r, work)
	if err == nil {
		opts.Progress(Progress{Step: "trim"})
		err = r.apply(work)
	}
	if err == nil {
		err = publish(work, tree)
	}
	if err != nil {
		return "", fmt.Errorf("build base tree: %w", errors.Join(err, os.RemoveAll(work)))
	}
	return tree, nil
}

// publish makes a finished tree durable under its name.
func publish(work, tree string) error {
	dir, err := os.Open(filepath.Dir(work))
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := unix.Syncfs(int(dir.Fd())); err != nil {
		return fmt.Errorf("sync %s: %w", work, err)
	}
	if err := os.Rename(work, tree); err != nil {
		return err
	}
	return dir.Sync()
}
