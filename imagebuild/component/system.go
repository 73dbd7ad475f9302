package component

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"slipway.build/slipway/imagebuild/debian"
	"slipway.build/slipway/imagebuild/lock"
)

// System is what an image has beside its programs: as little as the component needs.
type System struct {
	// Why says in one line what the component needs it for.
	Why string
	// Packages are the Debian packages to take files from.
	Packages []string
	// Take are the paths to take, and patterns of path.Match; ${triplet} is the architecture's.
	// The shared libraries that the files need come along.
	Take []string
	// Module are files of the recipe's module.
	Module []ModuleFiles
	// Links are symbolic links by path.
	Links map[string]string
	// Directories are empty directories.
	Directories []string
}

func (s *System) why() string {
	if s == nil {
		return ""
	}
	return s.Why
}

// system lists what the image has beside its programs, and the Debian packages it came from.
func (j *job) system(ctx context.Context) ([]content, []lock.Package, error) {
	s := j.in.Recipe.System
	if s == nil {
		return nil, nil, nil
	}
	all, packages, err := j.takeDebian(ctx, s)
	if err != nil {
		return nil, nil, err
	}
	if len(s.Module) > 0 {
		files, err := j.moduleFiles(ctx, s.Module)
		if err != nil {
			return nil, nil, err
		}
		all = append(all, files...)
	}
	for _, path := range slices.Sorted(maps.Keys(s.Links)) {
		all = append(all, content{Path: path, Target: s.Links[path]})
	}
	for _, path := range s.Directories {
		all = append(all, content{Path: path, Directory: true})
	}
	return all, packages, nil
}

// takeDebian takes files out of the packages that are pinned for the platform.
func (j *job) takeDebian(ctx context.Context, s *System) ([]content, []lock.Package, error) {
	if len(s.Packages) == 0 {
		return nil, nil, nil
	}
	arch, err := debian.ArchitectureOf(j.in.Platform)
	if err != nil {
		return nil, nil, err
	}
	pins, err := readPins(j.sources, arch.Name)
	if err != nil {
		return nil, nil, err
	}
	pinned := map[string]lock.Package{}
	for _, name := range s.Packages {
		p, found := pins[name]
		if !found {
			return nil, nil, fmt.Errorf("the package %s is not pinned for %s; run slipway images debian", name, arch.Name)
		}
		pinned[name] = p
	}
	return j.taken(ctx, arch, s, pinned)
}

// unpackPackages takes the files out of the packages themselves.
func (j *job) unpackPackages(ctx context.Context, arch debian.Architecture, s *System, pinned map[string]lock.Package) ([]content, []lock.Package, error) {
	tree := debian.NewTree()
	for _, name := range s.Packages {
		if err := addPackage(ctx, debian.Apt{Dir: j.debianCache}, arch.Name, pinned[name], tree); err != nil {
			return nil, nil, err
		}
	}
	var patterns []string
	for _, t := range s.Take {
		patterns = append(patterns, strings.ReplaceAll(t, "${triplet}", arch.Triplet))
	}
	taken, err := tree.Take(arch, patterns)
	if err != nil {
		return nil, nil, err
	}
	if err := taken.Check(arch); err != nil {
		return nil, nil, err
	}
	var all []content
	used := map[string]bool{}
	for path, f := range taken {
		all = append(all, fileContent(path, f))
		used[tree.From(path)] = true
	}
	for _, top := range debian.Merged() {
		all = append(all, content{Path: top, Target: "usr/" + top})
	}
	if arch.Name == "arm64" { // it has no lib64
		all = slices.DeleteFunc(all, func(c content) bool { return c.Path == "lib64" })
	}
	var packages []lock.Package
	for _, name := range slices.Sorted(maps.Keys(used)) {
		packages = append(packages, pinned[name])
	}
	return all, packages, nil
}

func addPackage(ctx context.Context, apt debian.Apt, arch string, p lock.Package, tree *debian.Tree) error {
	f, err := apt.Open(ctx, arch, p)
	if err != nil {
		return err
	}
	defer f.Close()
	return tree.Add(p.Name, f)
}

func fileContent(path string, f debian.File) content {
	if f.Target != "" {
		return content{Path: path, Target: f.Target}
	}
	return textContent(path, f.Data, f.Executable)
}

// textContent is a file whose bytes are in memory.
func textContent(path string, data []byte, executable bool) content {
	sum := sha256.Sum256(data)
	c := content{Path: path, SHA256: hex.EncodeToString(sum[:]), Size: int64(len(data)), text: data}
	if !executable {
		c.Mode = 0o444
	}
	return c
}

// debianDir is where packages and apt's lists are beneath a cache.
func debianDir(cacheDir string) string { return filepath.Join(cacheDir, "debian") }
