package testimages

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"slipway.build/slipway/imagebuild/debian"
	"slipway.build/slipway/imagebuild/lock"
)

// architecture is Debian's name of the one that the images are for.
const architecture = "amd64"

// debs are packages of the machine's apt.
type debs struct{ debian.Apt }

// fetch has apt download what is missing, in exactly the versions of the lock.
func (d debs) fetch(ctx context.Context, packages []Package) error {
	var all []lock.Package
	for _, p := range packages {
		all = append(all, p.pinned())
	}
	if err := d.FetchAll(ctx, architecture, all); err != nil {
		return fmt.Errorf("%w; `go run ./ci/conformance/run -lock` takes the archive's present versions", err)
	}
	return nil
}

// pinned is the package as it is fetched.
func (p Package) pinned() lock.Package {
	return lock.Package{Name: p.Name, Version: p.Version, SHA256: p.SHA256}
}

// closure fetches the newest versions of packages and everything that they need, but what leave
// says, and returns what it got.
func (d debs) closure(ctx context.Context, names []string, leave func(name string) bool) ([]Package, error) {
	found, err := d.Closure(ctx, architecture, names)
	if err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(found, func(p lock.Package) bool { return leave(p.Name) })
	if err := d.FetchAll(ctx, architecture, found); err != nil {
		return nil, err
	}
	var all []Package
	for _, p := range found {
		size, err := d.size(ctx, p)
		if err != nil {
			return nil, err
		}
		arch := architecture
		if strings.HasSuffix(p.Path, "_all.deb") {
			arch = "all"
		}
		all = append(all, Package{Name: p.Name, Version: p.Version, Arch: arch, Size: size, SHA256: p.SHA256})
	}
	return all, nil
}

// size is how many bytes a package has.
func (d debs) size(ctx context.Context, p lock.Package) (int64, error) {
	f, err := d.Open(ctx, architecture, p)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// unpack returns the files of packages, with /bin, /sbin and /lib in /usr.
func (d debs) unpack(ctx context.Context, packages []Package) (tree, error) {
	t := tree{}
	for _, p := range packages {
		if err := d.unpackOne(ctx, p, t); err != nil {
			return nil, fmt.Errorf("unpack %s %s: %w", p.Name, p.Version, err)
		}
	}
	return t, nil
}

func (d debs) unpackOne(ctx context.Context, p Package, t tree) error {
	f, err := d.Open(ctx, architecture, p.pinned())
	if err != nil {
		return err
	}
	defer f.Close()
	all, err := debian.Read(f)
	if err != nil {
		return err
	}
	t.add(all, needed)
	return nil
}
