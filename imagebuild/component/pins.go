package component

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"slipway.build/slipway/imagebuild/buildcache"
	"slipway.build/slipway/imagebuild/debian"
	"slipway.build/slipway/imagebuild/lock"
)

// pinFile is the committed list of Debian packages for one architecture.
func pinFile(sources, arch string) string { return filepath.Join(sources, "debian", arch+".json") }

// readPins reads the pinned packages by name.
func readPins(sources, arch string) (map[string]lock.Package, error) {
	name := pinFile(sources, arch)
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read the pinned Debian packages: %w", err)
	}
	var list []lock.Package
	if err := json.Unmarshal(b, &list); err != nil {
		return nil, fmt.Errorf("read the pinned Debian packages: %s: %w", name, err)
	}
	pins := map[string]lock.Package{}
	for _, p := range list {
		if err := debian.Check(p); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if !fs.ValidPath(p.Path) {
			return nil, fmt.Errorf("%s: package %s: %.100q is no path of the pool", name, p.Name, p.Path)
		}
		pins[p.Name] = p
	}
	return pins, nil
}

// PinPackages resolves the Debian packages of all recipes through the machine's apt, for all
// platforms, and writes them beside the build modules. It returns what changed, a line each.
func PinPackages(ctx context.Context, sources, cacheDir string) ([]string, error) {
	if cacheDir == "" {
		cacheDir = buildcache.Dir()
	}
	var names []string
	for _, r := range Recipes() {
		if r.System != nil {
			names = append(names, r.System.Packages...)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	apt := debian.Apt{Dir: debianDir(cacheDir)}
	var changes []string
	for _, platform := range Platforms() {
		arch, err := debian.ArchitectureOf(platform)
		if err != nil {
			return nil, err
		}
		if err := apt.Update(ctx, arch.Name); err != nil {
			return nil, err
		}
		found, err := apt.Resolve(ctx, arch.Name, names)
		if err != nil {
			return nil, err
		}
		old, err := readPins(sources, arch.Name)
		if err != nil {
			old = nil // there is none yet, or none that can be read
		}
		for _, p := range found {
			if before := old[p.Name]; before != p {
				changes = append(changes, fmt.Sprintf("%s %s: %s -> %s", p.Name, arch.Name, orNone(before.Version), p.Version))
			}
		}
		text, err := json.MarshalIndent(found, "", "  ")
		if err != nil {
			return nil, err
		}
		if err := os.MkdirAll(filepath.Join(sources, "debian"), 0o755); err != nil {
			return nil, err
		}
		if err := writeChanged(pinFile(sources, arch.Name), append(text, '\n')); err != nil {
			return nil, err
		}
	}
	return changes, nil
}
