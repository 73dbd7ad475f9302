package bundle

import (
	"context"
	"fmt"
	"strconv"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/imagebuild/bundle/remote"
	"slipway.build/slipway/imagebuild/layout"
	"slipway.build/slipway/imagebuild/trust"
)

// FindLock returns the signed lock of a number that a registry carries, and a terminal error when it has none. The
// number is asked for, for a registry that chose could answer with an old one. Digests are compared; no key is.
func FindLock(ctx context.Context, r *remote.Registry, number int64) (*trust.Carried, error) {
	tag := strconv.FormatInt(number, 10)
	_, _, manifest, err := r.Resolve(ctx, trust.LockRepository, tag)
	if err == nil && manifest == nil {
		err = fault.Terminalf("there is none")
	}
	var c *trust.Carried
	if err == nil {
		c, err = trust.ReadCarried(manifest, func(d v1.Descriptor) ([]byte, error) { return part(ctx, r, d) })
	}
	if err != nil {
		return nil, fmt.Errorf("lock %d at %s (%s:%s): %w", number, r, trust.LockRepository, tag, err)
	}
	return c, nil
}

// part reads one blob of a lock's artifact.
func part(ctx context.Context, registry *remote.Registry, d v1.Descriptor) ([]byte, error) {
	o := Object{Digest: d.Digest.String(), Size: d.Size}
	if o.Size < 0 || o.Size > layout.MaxManifest {
		return nil, fault.Terminalf("%s: %d bytes, of %d at most", o.Digest, o.Size, layout.MaxManifest)
	}
	r, err := registry.Open(ctx, trust.LockRepository, o.Digest, o.Size, false)
	if err != nil {
		return nil, err
	}
	return whole(ctx, r, o)
}
