package pull

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"slipway.build/slipway/agent/durable"
	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/pull/mirror"
	"slipway.build/slipway/agent/pull/unpack"
)

// fetch is one image on its way into the store.
type fetch struct {
	Want
	store    *Store
	mirrors  *mirror.Set
	contents *contents
	slots    *slots
	counts   *Counts
	progress func(int64)

	dir    string // temporary
	root   *os.Root
	target *unpack.Target
	blobs  string      // directory of the kept blobs; "" for none
	layers [][]string  // the files that each layer brought
	unseen atomic.Bool // a blob was taken from the store, without a look at the files in it
}

func (f *fetch) run(ctx context.Context) (err error) {
	f.dir, err = os.MkdirTemp(f.store.Dir, tempPrefix+strings.TrimPrefix(f.Manifest, "sha256:")+"-")
	if err != nil {
		return fmt.Errorf("make a directory for it: %w", err)
	}
	defer func() {
		if cleanup := os.RemoveAll(f.dir); cleanup != nil && err == nil {
			err = fmt.Errorf("remove the temporary directory: %w", cleanup)
		}
	}()
	if err := os.Chmod(f.dir, 0o755); err != nil {
		return err
	}
	if f.Root {
		if err := os.Mkdir(filepath.Join(f.dir, rootDir), 0o755); err != nil {
			return err
		}
		if f.root, err = os.OpenRoot(filepath.Join(f.dir, rootDir)); err != nil {
			return err
		}
		defer func() { _ = f.root.Close() }()
	}
	f.target = unpack.NewTarget(f.root, f.Locked.Files)
	f.layers = make([][]string, len(f.Locked.Layers))
	if err := f.fetchAll(ctx); err != nil {
		return err
	}
	return f.publish()
}

// fetchAll verifies the chain from the index down. Index and configuration travel beside the
// layers: their digests are in the signed lock too, and nothing is shown before all of them hold.
func (f *fetch) fetchAll(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return f.index(ctx) })
	group.Go(func() error {
		m, rawManifest, err := f.manifest(ctx)
		if err != nil {
			return err
		}
		if err := f.layout(rawManifest, m); err != nil {
			return err
		}
		group.Go(func() error { return f.config(ctx, m) })
		return f.allLayers(ctx, m)
	})
	// The first error is the cause; what comes after it was only told to stop.
	if err := group.Wait(); err != nil {
		return err
	}
	if f.unseen.Load() {
		return nil
	}
	for _, file := range f.target.Missing() {
		return fault.Terminalf("file %s of the signed lock is in no layer", file.Path)
	}
	return nil
}

// index fetches the image index, where the registry has it: who copied one platform only need
// not, and the signed lock names the manifest by itself.
func (f *fetch) index(ctx context.Context) error {
	if f.Index == "" || f.Index == f.Manifest {
		return nil
	}
	raw, err := f.mirrors.Optional(ctx, f.Repository+"/manifests/"+f.Index, f.Index, maxManifest, mediaIndex+", "+mediaDockerIndex)
	if errors.Is(err, mirror.ErrNotFound) && fault.KindOf(err) == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("index: %w", err)
	}
	return parseIndex(raw, f.Want)
}

func (f *fetch) manifest(ctx context.Context) (*manifest, []byte, error) {
	raw, err := f.mirrors.Object(ctx, f.Repository+"/manifests/"+f.Manifest, f.Manifest, maxManifest, mediaManifest+", "+mediaDockerManifest)
	if err != nil {
		return nil, nil, fmt.Errorf("manifest: %w", err)
	}
	m, err := parseManifest(raw, f.Want)
	return m, raw, err
}

func (f *fetch) config(ctx context.Context, m *manifest) error {
	raw, err := f.mirrors.Object(ctx, f.Repository+"/blobs/"+m.Config.Digest, m.Config.Digest, maxConfig, "")
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	if int64(len(raw)) != m.Config.Size {
		return fault.Terminalf("configuration %s: expected %d bytes by the manifest, found %d", m.Config.Digest, m.Config.Size, len(raw))
	}
	if err := checkConfig(raw, f.Want); err != nil {
		return err
	}
	if f.blobs == "" {
		return nil
	}
	return writeNew(f.blob(m.Config.Digest), raw)
}

// allLayers brings the layers that the store does not have, the largest first.
func (f *fetch) allLayers(ctx context.Context, m *manifest) error {
	todo, err := f.reuse(ctx)
	if err != nil {
		return err
	}
	slices.SortStableFunc(todo, func(a, b int) int { return cmp.Compare(m.Layers[b].Size, m.Layers[a].Size) })
	group, ctx := errgroup.WithContext(ctx)
	for _, i := range todo {
		group.Go(func() error {
			if err := f.slots.acquire(ctx, m.Layers[i].Size); err != nil {
				return fault.Retriablef("layer %d of %d: %w", i+1, len(m.Layers), err)
			}
			defer f.slots.release()
			if err := f.layer(ctx, i, m.Layers[i].MediaType); err != nil {
				return fmt.Errorf("layer %d of %d: %w", i+1, len(m.Layers), err)
			}
			return nil
		})
	}
	return group.Wait()
}

// layer fetches one layer from the first mirror that has it right.
func (f *fetch) layer(ctx context.Context, i int, media string) error {
	want := f.Locked.Layers[i]
	part := mirror.Range{To: want.Size, Size: want.Size}
	return f.mirrors.Fetch(ctx, f.Repository+"/blobs/"+want.Digest, part, f.arrived, func(b *mirror.Blob) error {
		var err error
		if f.blobs == "" {
			f.layers[i], err = f.target.Layer(b, want, media, nil)
			return err
		}
		keep, err := os.OpenFile(f.blob(want.Digest), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o444)
		if err != nil {
			return fmt.Errorf("keep blob: %w", err)
		}
		defer func() { _ = keep.Close() }()
		f.layers[i], err = f.target.Layer(b, want, media, keep)
		return err
	})
}

func (f *fetch) arrived(n int64) {
	if n > 0 {
		f.counts.Fetched.Add(n)
	}
	if f.progress != nil {
		f.progress(n)
	}
}

// publish makes all of it durable in one go, and shows it under the manifest's name.
func (f *fetch) publish() error {
	raw, err := json.Marshal(Record{
		Name: f.Name, Manifest: f.Manifest, Config: f.Locked.Config, Layers: f.Locked.Layers,
		Files: f.Locked.Files, Root: f.Root, Layout: f.Layout, LayerFiles: f.layers,
	})
	if err != nil {
		return err
	}
	if err := writeNew(filepath.Join(f.dir, recordFile), raw); err != nil {
		return err
	}
	if err := syncTree(f.dir); err != nil {
		return err
	}
	final := f.store.Path(f.Manifest)
	// An older form of the same image (without what is wanted now) makes room.
	if err := durable.RemoveAll(final); err != nil {
		return fmt.Errorf("replace the stored image: %w", err)
	}
	if err := os.Rename(f.dir, final); err != nil {
		return fmt.Errorf("show the image in the store: %w", err)
	}
	return syncDir(f.store.Dir)
}
