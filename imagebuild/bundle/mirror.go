package bundle

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
)

// Target is where images go.
type Target interface {
	// Has reports whether an object is there and is what it should be, as far as the target can tell.
	Has(ctx context.Context, repository string, o Object, manifest bool) (bool, error)
	// PutBlob stores a blob; open may be called several times, and what it opens is compared with the digest.
	PutBlob(ctx context.Context, repository string, o Object, open func() (io.ReadCloser, error)) error
	// Share makes a blob of one repository one of another; false where that is not possible.
	Share(ctx context.Context, repository string, o Object, from string) (bool, error)
	// PutManifest stores a manifest or index whose blobs are there.
	PutManifest(ctx context.Context, repository string, o Object, data []byte) error
	// Name gives the root, all of which is there, its tag, and lists it where its subject is found. It changes nothing
	// when that is so already, and reports whether it did. A target may leave it to Finish.
	Name(ctx context.Context, r *Root, data []byte) (bool, error)
	// Finish makes what was put durable and visible, and returns how many names it set that Name had left to it.
	Finish(ctx context.Context) (int, error)
}

// MirrorOptions of Mirror.
type MirrorOptions struct {
	Parallel int // blobs at the same time; 4 when 0
	// Progress is called with the bytes that are there now, of those in all.
	Progress func(done, total int64)
}

// Mirrored says what a mirror did.
type Mirrored struct {
	Summary
	Copied int   `json:"copied"`      // objects that the target lacked
	Moved  int64 `json:"copiedBytes"` // of them
	Shared int   `json:"shared"`      // blobs that the target had in another repository
	Named  int   `json:"named"`       // names that were new or changed
	// Sparse are images whose index a target that wants all platforms has refused; their manifests are there, by digest.
	Sparse []string `json:"sparse,omitempty"`
}

// Mirror copies what the target lacks. It may be killed at any time and run again: the target's own contents are all
// that it goes by. Blobs come first, then manifests, then the names of what is attached, then those of images, so
// that what can be seen by name is whole and signed.
func Mirror(ctx context.Context, from Source, to Target, o MirrorOptions) (*Mirrored, error) {
	roots, err := from.Roots(ctx)
	if err != nil {
		return nil, err
	}
	if o.Parallel == 0 {
		o.Parallel = 4
	}
	summary, _ := gather(roots)
	m := &mirroring{MirrorOptions: o, from: from, to: to, result: &Mirrored{Summary: *summary}, data: map[string][]byte{}}
	for i := range roots {
		for _, list := range [][]Object{roots[i].Manifests, roots[i].Blobs} {
			for _, object := range list {
				m.total += object.Size
			}
		}
	}
	if err := m.blobs(ctx, roots); err != nil {
		return m.result, err
	}
	slices.SortStableFunc(roots, func(a, b Root) int { return rank(&a) - rank(&b) })
	for i := range roots {
		if err := m.manifests(ctx, &roots[i]); err != nil {
			return m.result, fmt.Errorf("%s: %w", roots[i].Name(), err)
		}
	}
	named, err := to.Finish(ctx)
	m.result.Named += named
	return m.result, err
}

func rank(r *Root) int {
	if r.image() {
		return 1
	}
	return 0
}

// mirroring is one run of Mirror.
type mirroring struct {
	MirrorOptions
	from   Source
	to     Target
	result *Mirrored
	data   map[string][]byte // of manifests
	mu     sync.Mutex
	done   int64
	total  int64
}

func (m *mirroring) there(n int64) {
	m.mu.Lock()
	m.done += n
	done := m.done
	m.mu.Unlock()
	if m.Progress != nil {
		m.Progress(done, m.total)
	}
}

// place is one blob with the repositories that need it, in order.
type place struct {
	Object
	repositories []string
}

// blobs copies all blobs: each travels once, and goes to further repositories from there.
func (m *mirroring) blobs(ctx context.Context, roots []Root) error {
	places := map[string]*place{}
	var order []*place
	for i := range roots {
		for _, o := range roots[i].Blobs {
			p := places[o.Digest]
			if p == nil {
				p = &place{Object: o}
				places[o.Digest] = p
				order = append(order, p)
			}
			if slices.Contains(p.repositories, roots[i].Repository) {
				m.there(o.Size)
			} else {
				p.repositories = append(p.repositories, roots[i].Repository)
			}
		}
	}
	slices.SortStableFunc(order, func(a, b *place) int { return int(min(max(b.Size-a.Size, -1), 1)) })
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(m.Parallel)
	for _, p := range order {
		group.Go(func() error {
			for i, repository := range p.repositories {
				if err := ctx.Err(); err != nil {
					return context.Cause(ctx)
				}
				if err := m.blob(ctx, p, repository, p.repositories[:i]); err != nil {
					return fmt.Errorf("%s: blob %s: %w", repository, p.Digest, err)
				}
				m.there(p.Size)
			}
			return nil
		})
	}
	return group.Wait()
}

func (m *mirroring) blob(ctx context.Context, p *place, repository string, others []string) error {
	has, err := m.to.Has(ctx, repository, p.Object, false)
	if err != nil || has {
		return err
	}
	for _, other := range others {
		shared, err := m.to.Share(ctx, repository, p.Object, other)
		if err != nil {
			return err
		}
		if shared {
			m.count(func() { m.result.Shared++ })
			return nil
		}
	}
	err = m.to.PutBlob(ctx, repository, p.Object, func() (io.ReadCloser, error) {
		r, err := m.from.Open(ctx, repository, p.Object, false)
		if err != nil {
			return nil, err
		}
		return struct {
			io.Reader
			io.Closer
		}{newChecked(ctx, r, p.Object), r}, nil
	})
	if err == nil {
		m.count(func() { m.result.Copied++; m.result.Moved += p.Size })
	}
	return err
}

func (m *mirroring) count(f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f()
}

// manifests copies the manifests beneath a root, and names it.
func (m *mirroring) manifests(ctx context.Context, r *Root) error {
	var data []byte
	for i, o := range r.Manifests {
		var err error
		if data, err = m.read(ctx, r.Repository, o); err != nil {
			return err
		}
		has, err := m.to.Has(ctx, r.Repository, o, true)
		if err != nil {
			return err
		}
		if !has {
			err := m.to.PutManifest(ctx, r.Repository, o, data)
			if err != nil && i == len(r.Manifests)-1 && len(r.Sparse) > 0 && refused(err) {
				m.result.Sparse = append(m.result.Sparse, r.Name())
				return nil
			}
			if err != nil {
				return fmt.Errorf("manifest %s: %w", o.Digest, err)
			}
			m.result.Copied++
			m.result.Moved += o.Size
		}
		m.there(o.Size)
	}
	changed, err := m.to.Name(ctx, r, data)
	if changed {
		m.result.Named++
	}
	return err
}

// read returns a manifest, whose digest holds.
func (m *mirroring) read(ctx context.Context, repository string, o Object) ([]byte, error) {
	r, err := m.from.Open(ctx, repository, o, true)
	if err != nil {
		return nil, err
	}
	data, err := whole(ctx, r, o)
	if err != nil {
		return nil, fmt.Errorf("manifest %s: %w", o.Digest, err)
	}
	return data, nil
}
