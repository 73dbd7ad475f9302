package component

import (
	"fmt"
	"os"
	"path"
	"strings"
)

// Recipe says how one component image is made. Everything in it is an input of the build:
// it takes part in the cache key and, where it matters to a reader, stands in the lock.
type Recipe struct {
	// Image is the name in the lock; the repository is "slipway/" and the name.
	Image string
	// Version is the version of Module, with its v; it is the image's tag.
	Version string
	// Source is the folder of the build module beneath Options.Sources.
	Source string
	// Module is the Go module that holds the main packages: one that the build module
	// requires at exactly Version, or the build module itself.
	Module string
	// Programs are the files of the image, sorted by path.
	Programs []Program
	// Tags are Go build tags, in the order given to the go command.
	Tags []string
	// Stamps are -X assignments; ${version}, ${bare} (no v), ${major} and ${minor} stand for
	// Version and its parts.
	Stamps []string
	// Kubernetes lists the minors that the image fits; empty fits all.
	Kubernetes []string
	// HostTools are programs that the component runs from the node's PATH.
	HostTools []string
	// User is the numeric user of the image configuration, for images that pods run; empty
	// leaves it to the pod. Units do not read it.
	User string
}

// Program is one static binary of an image.
type Program struct {
	// Package is the import path of the main package.
	Package string
	// Path is where the image has it: "usr/bin/etcd".
	Path string
}

// Repository returns the image's path in a registry.
func (r *Recipe) Repository() string { return "slipway/" + r.Image }

// Packages returns the main packages in the order of the programs.
func (r *Recipe) Packages() []string {
	var all []string
	for _, p := range r.Programs {
		all = append(all, p.Package)
	}
	return all
}

// Flags returns the flags of go build, in order, without -o and the packages.
func (r *Recipe) Flags() ([]string, error) {
	ldflags := "-s -w -buildid="
	for _, s := range r.Stamps {
		stamp, err := r.expand(s)
		if err != nil {
			return nil, err
		}
		ldflags += " -X " + stamp
	}
	flags := []string{"-mod=readonly", "-trimpath", "-buildvcs=false"}
	if len(r.Tags) > 0 {
		flags = append(flags, "-tags="+strings.Join(r.Tags, ","))
	}
	return append(flags, "-ldflags="+ldflags), nil
}

func (r *Recipe) expand(stamp string) (string, error) {
	bare := strings.TrimPrefix(r.Version, "v")
	part := strings.SplitN(bare, ".", 3)
	var unknown error
	out := os.Expand(stamp, func(name string) string {
		switch {
		case name == "version":
			return r.Version
		case name == "bare":
			return bare
		case name == "major" && len(part) > 1:
			return part[0]
		case name == "minor" && len(part) > 1:
			return part[1]
		}
		unknown = fmt.Errorf("recipe %s: stamp %q: no value for ${%s}", r.Image, stamp, name)
		return ""
	})
	if unknown == nil && strings.ContainsAny(out, " '\"") {
		unknown = fmt.Errorf("recipe %s: stamp %q has white space or quotes", r.Image, stamp)
	}
	return out, unknown
}

// check refuses a recipe that cannot give a correct image.
func (r *Recipe) check() error {
	if r.Image == "" || r.Version == "" || r.Source == "" || r.Module == "" || len(r.Programs) == 0 {
		return fmt.Errorf("recipe %q: image, version, source, module and programs are required", r.Image)
	}
	for i, p := range r.Programs {
		if p.Path != path.Clean(p.Path) || path.IsAbs(p.Path) || strings.HasPrefix(p.Path, "..") || path.Dir(p.Path) == "." {
			return fmt.Errorf("recipe %s: %q is not a clean relative path in a directory", r.Image, p.Path)
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
