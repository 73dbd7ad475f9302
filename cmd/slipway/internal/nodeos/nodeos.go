// Package nodeos makes what the local cloud's servers boot from: the base tree, which is kept
// in the build cache, and the OS layer with the agent, the signed lock and the trusted key.
package nodeos

import (
	"context"
	"fmt"
	"path/filepath"

	"slipway.build/slipway/cmd/slipway/internal/images"
	"slipway.build/slipway/imagebuild/basetree"
	"slipway.build/slipway/imagebuild/buildcache"
	"slipway.build/slipway/imagebuild/osimage/program"
)

// Registry takes the finished image in, so that servers can name it.
type Registry interface {
	Register(ctx context.Context, name, init string, layers ...string) error
}

// Builder makes the node OS of one state directory.
type Builder struct {
	Paths      images.Paths
	Agent      string // program slipway-agent
	ImportTool string // program slipway-import
	Exec       string // program slipway-exec
	Verifier   string // program slipway-image-verifier
	Name       string // of the finished image
	Registry   Registry

	base string // directory of the base tree, once it is there
}

// Base makes the base tree, or finds it in the cache.
func (b *Builder) Base(ctx context.Context, say func(format string, a ...any)) (string, error) {
	tree, err := basetree.Build(ctx, basetree.Options{
		Cache: buildcache.Dir(),
		Progress: func(p basetree.Progress) {
			if p.Item != "" {
				say("%s %s", p.Step, p.Item)
			} else {
				say("%s", p.Step)
			}
		},
	})
	b.base = tree
	return tree, err
}

// Layer makes the OS layer of the agent, the lock and the key that are there now, and
// registers it together with the base tree, which must be there.
func (b *Builder) Layer(ctx context.Context, _ func(format string, a ...any)) (string, error) {
	if b.base == "" {
		return "", fmt.Errorf("the OS layer goes on a base tree, and there is none yet")
	}
	contents, err := Contents(b.Paths, program.Programs{Agent: b.Agent, ImportTool: b.ImportTool, Exec: b.Exec, Verifier: b.Verifier})
	if err != nil {
		return "", err
	}
	layer, path, err := Extract(contents, filepath.Join(b.Paths.State, "os"))
	if err != nil {
		return "", err
	}
	if err := b.Registry.Register(ctx, b.Name, basetree.Init, path, b.base); err != nil {
		return "", err
	}
	return fmt.Sprintf("image %s, layer %.19s…", b.Name, layer.DiffID()), nil
}
