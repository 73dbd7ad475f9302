package component

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"slipway.build/slipway/imagebuild/lock"
)

// Recipe says how one component image is made. What decides its bytes takes part in the keys
// of the cache, and everything that matters to a reader stands in the lock.
type Recipe struct {
	// Image is the name in the lock; the repository is "slipway/" and the name.
	Image string
	// Version is the component's version, with its v; it is the image's tag.
	Version string
	// Source is the folder of the build module beneath Options.Sources.
	Source string
	// Module is the Go module that holds the main packages: one that the build module
	// requires at exactly ModuleVersion, or the build module itself.
	Module string
	// ModuleVersion is the module's version where the component is known by another one.
	ModuleVersion string
	// Programs are the compiled files of the image, sorted by path.
	Programs []Program
	// Tags are Go build tags, in the order given to the go command.
	Tags []string
	// Stamps are -X assignments; ${version}, ${bare} (no v), ${major} and ${minor} stand for
	// Version and its parts.
	Stamps []string
	// System is what else is in the image, and why; nil where the programs are enough.
	System *System
	// Kubernetes lists the minors that the image fits; empty fits all.
	Kubernetes []string
	// Supported is the last day of upstream's support, "2027-06-28"; empty where none is named.
	Supported string
	// HostTools are programs that the component runs from the node's PATH.
	HostTools []string
	// User is the numeric user of the image configuration, for images that pods run; empty
	// leaves it to the pod. Units do not read it.
	User string
	// Entrypoint is what the image runs; empty means its only program.
	Entrypoint []string
	// Env is the environment of the image configuration: "SVDIR=/etc/service/enabled".
	Env []string
	// Reference is upstream's image, for a component that is not built from a module.
	Reference string
	// Unresolved says why such an image has no digest.
	Unresolved string
}

// Program is one static binary of an image.
type Program struct {
	// Package is the import path of the main package.
	Package string
	// Path is where the image has it: "usr/bin/etcd".
	Path string
}

// ID is the image's name and version: "etcd@v3.6.16".
func (r *Recipe) ID() string { return r.Image + "@" + r.Version }

// Repository returns the image's path in a registry.
func (r *Recipe) Repository() string { return "slipway/" + r.Image }

// moduleVersion is the version of Module.
func (r *Recipe) moduleVersion() string {
	if r.ModuleVersion != "" {
		return r.ModuleVersion
	}
	return r.Version
}

// Packages returns the main packages in the order of the programs, each once.
func (r *Recipe) Packages() []string {
	var all []string
	for _, p := range r.Programs {
		if !slices.Contains(all, p.Package) {
			all = append(all, p.Package)
		}
	}
	return all
}

// entrypoint is the command of the image configuration.
func (r *Recipe) entrypoint() []string {
	if len(r.Entrypoint) == 0 && len(r.Programs) == 1 {
		return []string{"/" + r.Programs[0].Path}
	}
	return r.Entrypoint
}

// entry is what the recipe itself says of the image's entry in the lock.
func (r *Recipe) entry() lock.Image {
	return lock.Image{Name: r.Image, Version: r.Version, Repository: r.Repository(), Kubernetes: r.Kubernetes,
		Supported: r.Supported, HostTools: r.HostTools, Unresolved: r.Unresolved, System: r.System.why(), Source: lock.Source{Reference: r.Reference}}
}

// check refuses a recipe that cannot give a correct image.
func (r *Recipe) check() error {
	if r.Reference != "" {
		if r.Image == "" || r.Version == "" || r.Unresolved == "" || r.Module != "" {
			return fmt.Errorf("recipe %q: a reference needs image, version and the reason why it is unresolved, and no module", r.Image)
		}
		return nil
	}
	if r.Image == "" || r.Version == "" || r.Source == "" || r.Module == "" || len(r.Programs) == 0 {
		return fmt.Errorf("recipe %q: image, version, source, module and programs are required", r.Image)
	}
	for i, p := range r.Programs {
		if err := checkPath(p.Path); err != nil {
			return fmt.Errorf("recipe %s: %w", r.Image, err)
		}
		if i > 0 && r.Programs[i-1].Path >= p.Path {
			return fmt.Errorf("recipe %s: programs are not sorted by path: %q", r.Image, p.Path)
		}
		if p.Package != r.Module && !strings.HasPrefix(p.Package, r.Module+"/") {
			return fmt.Errorf("recipe %s: package %s is not in module %s", r.Image, p.Package, r.Module)
		}
	}
	_, err := r.Flags()
	return err
}

func checkPath(p string) error {
	if p != path.Clean(p) || path.IsAbs(p) || strings.HasPrefix(p, "..") || path.Dir(p) == "." {
		return fmt.Errorf("%q is not a clean relative path in a directory", p)
	}
	return nil
}
