package bundle

import (
	"context"
	"fmt"
	"io"

	"slipway.build/slipway/agent/fault"
)

// Source is where images come from.
type Source interface {
	// Roots returns what travels, images before what is attached to them.
	Roots(ctx context.Context) ([]Root, error)
	// Open opens an object of a repository; manifest says whether it is a manifest or an index. The
	// bytes are not verified.
	Open(ctx context.Context, repository string, o Object, manifest bool) (io.ReadCloser, error)
}

// Join returns a source of all that several sources have. Two that give one name to different things are an error
// of Roots.
func Join(sources ...Source) Source { return joined{sources: sources, of: map[string]Source{}} }

type joined struct {
	sources []Source
	of      map[string]Source // by digest
}

func (j joined) Roots(ctx context.Context) ([]Root, error) {
	var all []Root
	names, seen := map[string]string{}, map[string]bool{}
	for _, source := range j.sources {
		roots, err := source.Roots(ctx)
		if err != nil {
			return nil, err
		}
		for _, r := range roots {
			name, digest := r.Name(), r.Descriptor.Digest.String()
			if other, ok := names[name]; ok && other != digest {
				return nil, fault.Terminalf("%s is the name of both %s and %s", name, other, digest)
			}
			if seen[name+digest] {
				continue
			}
			names[name], seen[name+digest] = digest, true
			all = append(all, r)
			for _, list := range [][]Object{r.Manifests, r.Blobs} {
				for _, o := range list {
					if j.of[o.Digest] == nil {
						j.of[o.Digest] = source
					}
				}
			}
		}
	}
	return all, nil
}

func (j joined) Open(ctx context.Context, repository string, o Object, manifest bool) (io.ReadCloser, error) {
	source := j.of[o.Digest]
	if source == nil {
		return nil, fmt.Errorf("no source has %s", o.Digest)
	}
	return source.Open(ctx, repository, o, manifest)
}
