package pull

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"slipway.build/slipway/agent/durable"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/pull/mirror"
	"slipway.build/slipway/imagebuild/lock"
)

// Want is one image that has to be in the store.
type Want struct {
	Name       string
	Repository string
	Index      string         // digest of the image index; "" or that of the manifest for none
	Manifest   string         // digest of the platform manifest
	Locked     *lock.Platform // the signed lock's entry; everything fetched is compared with it
	Root       bool           // keep the files
	Layout     bool           // keep the blobs as an OCI layout
}

// Bytes returns how many bytes of layers the image has as they travel.
func (w Want) Bytes() int64 { return w.Locked.Bytes() }

// Puller fetches images into a store.
type Puller struct {
	Store  *Store
	Client *http.Client
	// Parallel bounds the layers that are unpacked at the same time over all images; 2 when 0.
	Parallel int
	// Bandwidth bounds all fetching together, in bytes a second; 0 for no bound.
	Bandwidth int64
	// Stall is how long a connection may bring nothing before it is dropped; 20 s when 0.
	Stall time.Duration
	// Reserve is how many bytes must stay free on the store's file system beside what the
	// missing images take; 64 MiB when 0.
	Reserve int64

	// Counts grow with every pull.
	Counts Counts

	fetching sync.RWMutex // read-locked by each Pull, locked by Sweep
}

// Counts says where the bytes of images came from.
type Counts struct {
	Fetched atomic.Int64 // bytes of layers from registries, wrong ones included
	Linked  atomic.Int64 // bytes of files and blobs that were in the store already
}

// NewClient returns an HTTP client that suits registries.
func NewClient() *http.Client { return mirror.NewClient() }

// Missing returns the images that the store does not hold yet, the largest first.
func (p *Puller) Missing(wants []Want) []Want {
	missing := slices.DeleteFunc(slices.Clone(wants), p.Store.Has)
	slices.SortStableFunc(missing, func(a, b Want) int { return cmp.Compare(b.Bytes(), a.Bytes()) })
	return missing
}

// Pull brings all wanted images into the store, several at a time, the largest first. The healthy
// registries are asked in order. progress, when not nil, is called from several goroutines with
// the bytes of layers that have arrived or were in the store already, since its last call; a
// negative number takes back what turned out to be wrong. What is refused leaves nothing behind; the first terminal error ends the
// others. Retriable faults of registries are retried until ctx ends; a disk without room is one
// that is returned at once.
func (p *Puller) Pull(ctx context.Context, wants []Want, registries []string, progress func(int64)) error {
	missing := p.Missing(wants)
	if len(missing) == 0 {
		return nil
	}
	p.fetching.RLock()
	defer p.fetching.RUnlock()
	if err := durable.MkdirAll(p.Store.Dir, 0o755); err != nil {
		return fmt.Errorf("make the image store: %w", err)
	}
	if err := labelAs(p.Store.Dir, plan.ExecBinary); err != nil {
		return fmt.Errorf("make the image store: %w", err)
	}
	contents, err := p.Store.contents()
	if err != nil {
		return err
	}
	if err := p.gate(missing, contents); err != nil {
		return err
	}
	parallel := p.Parallel
	if parallel == 0 {
		parallel = 2
	}
	bound := &slots{free: parallel}
	mirrors := mirror.NewSet(p.Client, registries)
	mirrors.Stall, mirrors.Pace = p.Stall, mirror.NewPace(p.Bandwidth)
	group, ctx := errgroup.WithContext(ctx)
	for _, want := range missing {
		fetch := &fetch{Want: want, store: p.Store, mirrors: mirrors, contents: contents, slots: bound, counts: &p.Counts, progress: progress}
		group.Go(func() error {
			if err := fetch.run(ctx); err != nil {
				return fmt.Errorf("pull image %s (%s): %w", want.Name, want.Manifest, err)
			}
			return nil
		})
	}
	return group.Wait()
}
