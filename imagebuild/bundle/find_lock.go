package bundle

import (
	"context"
	"errors"
	"fmt"
	"io"
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
func part(ctx context.Context, r *remote.Registry, d v1.Descriptor) ([]byte, error) {
	digest := d.Digest.String()
	if d.Size < 0 || d.Size > layout.MaxManifest {
		return nil, fault.Terminalf("%s: %d bytes, of %d at most", digest, d.Size, layout.MaxManifest)
	}
	b, err := r.Open(ctx, trust.LockRepository, digest, d.Size, false)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(b, d.Size+1))
	if err = errors.Join(err, b.Close()); err != nil {
		return nil, err
	}
	if found := layout.Digest(data); found != digest {
		return nil, fault.Terminalf("%w", &layout.DigestError{Expected: digest, Found: found})
	}
	return data, nil
}
