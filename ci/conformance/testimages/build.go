package testimages

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"slipway.build/slipway/imagebuild/buildcache"
	"slipway.build/slipway/imagebuild/debian"
)

// Options say what Build takes and where it works.
type Options struct {
	// Lock names the packages, and the images for Build to hold its own against.
	Lock *Lock
	// Programs are the files that are no package's.
	Programs Programs
	// Dir keeps layouts by content.
	Dir string
	// Debian keeps the packages.
	Debian debian.Apt
}

// Build makes the images into an OCI layout, unless it is there, and returns its directory. An
// image that is not the lock's is an error that names both digests, and no layout is left.
func Build(ctx context.Context, o Options) (string, error) {
	if o.Lock.Kubernetes == "" || len(o.Lock.Images) == 0 {
		return "", errors.New("the lock of the tests' images names none: run `go run ./ci/conformance/run -lock`")
	}
	key, err := o.key()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(o.Dir, "images", key)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	built, err := o.build(ctx, dir, o.Lock.Sets, func(built []Locked) error {
		if err := o.Lock.Check(built); err != nil {
			return fmt.Errorf("%w\nif that is meant, as after a change of a component, `go run ./ci/conformance/run -lock` takes it", err)
		}
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("build the tests' images: %w", err)
	}
	if len(built) == 0 {
		return "", errors.New("build the tests' images: there are none")
	}
	return dir, nil
}

// Update returns a lock with the archive's present packages and the images made of them.
func Update(ctx context.Context, o Options, kubernetes string) (*Lock, error) {
	l := &Lock{Schema: 1, Kubernetes: kubernetes, Sets: map[string][]Package{}}
	d := debs{o.Debian}
	if err := d.Apt.Update(ctx, architecture); err != nil {
		return nil, err
	}
	have := map[string]bool{}
	for _, set := range []string{busyboxSet, toolSet, serverSet} { // the server adds to the tools
		all, err := d.closure(ctx, wanted()[set], func(name string) bool {
			return set == serverSet && have[name] || set == busyboxSet && !slices.Contains(wanted()[set], name) // static programs need nothing
		})
		if err != nil {
			return nil, err
		}
		l.Sets[set] = all
		for _, p := range all {
			have[p.Name] = have[p.Name] || set == toolSet
		}
	}
	temp, err := os.MkdirTemp(o.Dir, ".lock-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(temp)
	l.Images, err = o.build(ctx, filepath.Join(temp, "layout"), l.Sets, func([]Locked) error { return nil })
	return l, err
}

// format is the version of what this package itself decides about the images' bytes.
const format = 2

// key names the layout by everything that decides it.
func (o Options) key() (string, error) {
	in := struct {
		Format   int
		Lock     *Lock
		Programs map[string]string
	}{format, o.Lock, map[string]string{}}
	for name, f := range o.Programs.files() {
		sum, _, err := buildcache.Sum(f)
		if err != nil {
			return "", fmt.Errorf("program of the tests' images: %w", err)
		}
		in.Programs[name] = sum
	}
	b, err := json.Marshal(in)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

// build writes the layout under another name first.
func (o Options) build(ctx context.Context, dir string, sets map[string][]Package, check func([]Locked) error) ([]Locked, error) {
	d := debs{o.Debian}
	for _, set := range []string{busyboxSet, toolSet, serverSet} {
		if len(sets[set]) == 0 {
			return nil, fmt.Errorf("the lock has no packages in the set %s", set)
		}
		if err := d.fetch(ctx, sets[set]); err != nil {
			return nil, err
		}
	}
	all, err := recipes(ctx, d, sets, o.Programs)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return nil, err
	}
	work, err := os.MkdirTemp(filepath.Dir(dir), ".layout-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	l := layout{work}
	built, err := l.write(all)
	if err != nil {
		return nil, err
	}
	if err := check(built); err != nil {
		return nil, err
	}
	if err := os.Chmod(work, 0o755); err != nil {
		return nil, err
	}
	if err := os.Rename(work, dir); err != nil {
		if _, there := os.Stat(dir); there != nil {
			return nil, err
		}
	}
	return built, nil
}
