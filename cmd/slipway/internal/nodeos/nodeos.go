// Package nodeos makes what the local cloud's servers boot from: the base tree, which is kept
// in the build cache, and the OS layer with the agent, the signed lock and the trusted key.
package nodeos

import (
	"context"
	"errors"

	"slipway.build/slipway/cmd/slipway/internal/images"
	"slipway.build/slipway/imagebuild/basetree"
	"slipway.build/slipway/imagebuild/component"
)

// Builder makes the node OS of one state directory.
type Builder struct {
	paths             images.Paths
	agent, importTool string
}

// New returns a builder that bakes the programs agent and importTool in.
func New(paths images.Paths, agent, importTool string) *Builder {
	return &Builder{paths, agent, importTool}
}

// Base makes the base tree, or finds it in the cache.
func (b *Builder) Base(ctx context.Context, say func(format string, a ...any)) (string, error) {
	return basetree.Build(ctx, basetree.Options{
		Cache: component.CacheDir(),
		Progress: func(p basetree.Progress) {
			if p.Item != "" {
				say("%s %s", p.Step, p.Item)
			} else {
				say("%s", p.Step)
			}
		},
	})
}

// Layer makes the OS layer.
func (b *Builder) Layer(context.Context, func(format string, a ...any)) (string, error) {
	return "", errors.New("not yet")
}
