package debian

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"slipway.build/slipway/imagebuild/lock"
)

// file is where a package is in the cache.
func (a Apt) file(p lock.Package) string { return filepath.Join(a.Dir, "packages", p.SHA256+".deb") }

// Open opens a package in the cache, after fetching it if it is not there. Its sum is checked at
// every call.
func (a Apt) Open(ctx context.Context, arch string, p lock.Package) (*os.File, error) {
	if err := a.FetchAll(ctx, arch, []lock.Package{p}); err != nil {
		return nil, err
	}
	return os.Open(a.file(p))
}

// FetchAll fetches packages that are not in the cache, in one call of apt. Nothing is kept whose sum
// is another one.
func (a Apt) FetchAll(ctx context.Context, arch string, packages []lock.Package) error {
	missing, err := a.missing(packages)
	if err != nil || len(missing) == 0 {
		return err
	}
	release, err := a.alone(ctx, arch)
	if err != nil {
		return err
	}
	defer release()
	if missing, err = a.missing(missing); err != nil || len(missing) == 0 { // another process was first
		return err
	}
	_, err = os.Stat(a.updated(arch))
	fresh := err != nil
	if fresh {
		if err := a.update(ctx, arch); err != nil {
			return err
		}
	}
	err = a.download(ctx, arch, missing)
	if err != nil && !fresh && ctx.Err() == nil { // the lists may be older than the versions
		if err := a.update(ctx, arch); err != nil {
			return err
		}
		err = a.download(ctx, arch, missing)
	}
	return err
}

// missing lists the packages that are not in the cache. One with another sum is an error.
func (a Apt) missing(packages []lock.Package) ([]lock.Package, error) {
	var all []lock.Package
	for _, p := range packages {
		if err := Check(p); err != nil {
			return nil, err
		}
		switch err := hasSum(a.file(p), p.SHA256); {
		case errors.Is(err, fs.ErrNotExist):
			all = append(all, p)
		case err != nil:
			return nil, fmt.Errorf("package %s %s: %w; remove it", p.Name, p.Version, err)
		}
	}
	return all, nil
}

func (a Apt) download(ctx context.Context, arch string, packages []lock.Package) error {
	kept := filepath.Join(a.Dir, "packages")
	if err := os.MkdirAll(kept, 0o755); err != nil {
		return fmt.Errorf("make the cache of packages: %w", err)
	}
	work := filepath.Join(a.state(arch), "fetch") // ours alone, but for what a killed run left
	if err := errors.Join(os.RemoveAll(work), os.Mkdir(work, 0o755)); err != nil {
		return fmt.Errorf("make a directory for apt to fetch to: %w", err)
	}
	defer os.RemoveAll(work)
	args := []string{"download"}
	for _, p := range packages {
		args = append(args, p.Name+"="+p.Version)
	}
	if _, err := a.run(ctx, work, arch, "apt-get", args...); err != nil {
		return fmt.Errorf("fetch Debian packages for %s: %w; if the archive has a version no longer, pin what it has now (for components: slipway images debian)", arch, err)
	}
	for _, p := range packages {
		files, err := filepath.Glob(filepath.Join(work, p.Name+"_*.deb"))
		if err != nil || len(files) != 1 {
			return fmt.Errorf("fetch package %s: apt left %d files", p.Name, len(files))
		}
		if err := hasSum(files[0], p.SHA256); err != nil {
			return fmt.Errorf("package %s %s: %w; it was not taken", p.Name, p.Version, err)
		}
		if err := os.Rename(files[0], a.file(p)); err != nil {
			return fmt.Errorf("keep package %s: %w", p.Name, err)
		}
	}
	return nil
}
