package pull

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/imagebuild/lock"
)

// Want is one image that has to be in the store.
type Want struct {
	Name       string
	Repository string
	Manifest   string         // digest of the platform manifest
	Locked     *lock.Platform // the signed lock's entry; everything fetched is compared with it
	Root       bool           // keep the files
	Layout     bool           // keep the blobs as an OCI layout
}

// Bytes returns how many bytes of layers the image has as they travel.
func (w Want) Bytes() int64 { return w.Locked.Size() }

// Puller fetches images into a store.
type Puller struct {
	Store  *Store
	Client *http.Client
	// Parallel bounds the layers that are unpacked at the same time over all images; 2 when 0.
	Parallel int
}

// Missing returns the images that the store does not hold yet, the largest first.
func (p *Puller) Missing(wants []Want) []Want {
	missing := slices.DeleteFunc(slices.Clone(wants), p.Store.Has)
	slices.SortStableFunc(missing, func(a, b Want) int { return cmp.Compare(b.Bytes(), a.Bytes()) })
	return missing
}

// Pull brings all wanted images into the store, several at a time, the largest first. The
// registries are tried in order. progress, when not nil, is called with the bytes of layers
// fetched since its last call, from several goroutines. What is refused leaves nothing behind;
// the first terminal error ends the others. Retriable faults are retried until ctx ends.
func (p *Puller) Pull(ctx context.Context, wants []Want, registries []string, progress func(int64)) error {
	missing := p.Missing(wants)
	if len(missing) == 0 {
		return nil
	}
	if err := os.MkdirAll(p.Store.Dir, 0o755); err != nil {
		return fmt.Errorf("make the image store: %w", err)
	}
	parallel := p.Parallel
	if parallel == 0 {
		parallel = 2
	}
	bound := &slots{free: parallel}
	sources := make([]registry, len(registries))
	for i, base := range registries {
		sources[i] = registry{base: base, client: p.Client}
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, want := range missing {
		fetch := &fetch{Want: want, store: p.Store, registries: sources, slots: bound, progress: progress}
		group.Go(func() error {
			if err := fetch.run(ctx); err != nil {
				return fmt.Errorf("pull image %s (%s): %w", want.Name, want.Manifest, err)
			}
			return nil
		})
	}
	return group.Wait()
}

// fetch is one image on its way into the store.
type fetch struct {
	Want
	store      *Store
	registries []registry
	slots      *slots
	progress   func(int64)

	dir  string // temporary
	root *os.Root
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
	if err := f.fetchAll(ctx); err != nil {
		return err
	}
	return f.publish()
}

func (f *fetch) fetchAll(ctx context.Context) error {
	accept := mediaManifest + ", " + mediaDockerManifest
	rawManifest, err := fetchChecked(ctx, f.registries, f.Repository+"/manifests/"+f.Manifest, f.Manifest, maxManifest, accept)
	if err != nil {
		return fmt.Errorf("manifest: %w", err)
	}
	m, err := parseManifest(rawManifest, f.Want)
	if err != nil {
		return err
	}
	blobs, err := f.layout(rawManifest, m)
	if err != nil {
		return err
	}
	found := &fileSet{}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return f.config(ctx, m, blobs) })
	order := make([]int, len(m.Layers))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(m.Layers[b].Size, m.Layers[a].Size) })
	for _, i := range order {
		group.Go(func() error {
			if err := f.slots.acquire(ctx, m.Layers[i].Size); err != nil {
				return fault.Retriablef("layer %d of %d: %w", i+1, len(m.Layers), err)
			}
			defer f.slots.release()
			if err := f.layer(ctx, m.Layers[i], f.Locked.Layers[i], blobs, found); err != nil {
				return fmt.Errorf("layer %d of %d: %w", i+1, len(m.Layers), err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, file := range f.Locked.Files {
		if !found.has(file.Path) {
			return fault.Terminalf("file %s of the signed lock is in no layer", file.Path)
		}
	}
	return nil
}

func (f *fetch) config(ctx context.Context, m *manifest, blobs string) error {
	raw, err := fetchChecked(ctx, f.registries, f.Repository+"/blobs/"+m.Config.Digest, m.Config.Digest, maxConfig, "")
	if err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	if int64(len(raw)) != m.Config.Size {
		return fault.Terminalf("configuration %s: expected %d bytes by the manifest, found %d", m.Config.Digest, m.Config.Size, len(raw))
	}
	if err := checkConfig(raw, f.Want); err != nil {
		return err
	}
	if blobs == "" {
		return nil
	}
	return writeSynced(filepath.Join(blobs, strings.TrimPrefix(m.Config.Digest, "sha256:")), raw)
}

// layer fetches one layer. Registries that serve wrong bytes are passed over while there are
// others, each time from the start.
func (f *fetch) layer(ctx context.Context, found descriptor, want lock.Layer, blobs string, files *fileSet) error {
	var err error
	for i := range f.registries {
		// Rotate, so that a resume after a broken connection may still use all the others.
		sources := append(slices.Clone(f.registries[i:]), f.registries[:i]...)
		if i > 0 {
			if f.Root && len(f.Locked.Layers) > 1 {
				return err // other layers' files are in the same root: begin the image anew
			}
			if err := f.clearRoot(); err != nil {
				return err
			}
			*files = fileSet{}
		}
		if err = f.layerFrom(ctx, sources, found, want, blobs, files); !fault.IsTerminal(err) {
			return err
		}
	}
	return err
}

func (f *fetch) layerFrom(ctx context.Context, sources []registry, found descriptor, want lock.Layer, blobs string, files *fileSet) error {
	reader := &resumingReader{
		ctx: ctx, registries: sources, path: f.Repository + "/blobs/" + want.Digest,
		size: want.Size, progress: f.progress, waits: newBackoff(),
	}
	defer reader.drop()
	var limit int64 = tarMargin
	wanted := make(map[string]lock.Binary, len(f.Locked.Files))
	for _, file := range f.Locked.Files {
		wanted[file.Path] = file
		limit += file.Size
	}
	x := &extractor{root: f.root, wanted: wanted, found: files, buffer: make([]byte, copyBuffer)}
	if blobs == "" {
		return unpackLayer(reader, want, found.MediaType, nil, x, limit)
	}
	keep, err := os.OpenFile(filepath.Join(blobs, strings.TrimPrefix(want.Digest, "sha256:")), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o444)
	if err != nil {
		return fmt.Errorf("keep blob: %w", err)
	}
	defer func() { _ = keep.Close() }()
	if err := unpackLayer(reader, want, found.MediaType, keep, x, limit); err != nil {
		return err
	}
	if err := keep.Sync(); err != nil {
		return fmt.Errorf("keep blob: %w", err)
	}
	return nil
}

func (f *fetch) clearRoot() error {
	if !f.Root {
		return nil
	}
	entries, err := os.ReadDir(filepath.Join(f.dir, rootDir))
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := f.root.RemoveAll(entry.Name()); err != nil {
			return err
		}
	}
	return nil
}

// layout writes the OCI layout's index and the manifest, and returns the blobs' directory; ""
// when no layout is wanted. The index names the manifest and nothing else.
func (f *fetch) layout(rawManifest []byte, m *manifest) (string, error) {
	if !f.Layout {
		return "", nil
	}
	base := filepath.Join(f.dir, layoutDir)
	blobs := filepath.Join(base, "blobs", "sha256")
	if err := os.MkdirAll(blobs, 0o755); err != nil {
		return "", err
	}
	media := m.MediaType
	if media == "" {
		media = mediaManifest
	}
	index, err := json.Marshal(map[string]any{
		"schemaVersion": 2,
		"mediaType":     "application/vnd.oci.image.index.v1+json",
		"manifests":     []descriptor{{MediaType: media, Digest: f.Manifest, Size: int64(len(rawManifest))}},
	})
	if err != nil {
		return "", err
	}
	for name, raw := range map[string][]byte{
		filepath.Join(base, "oci-layout"):                               []byte(`{"imageLayoutVersion":"1.0.0"}`),
		filepath.Join(base, "index.json"):                               index,
		filepath.Join(blobs, strings.TrimPrefix(f.Manifest, "sha256:")): rawManifest,
	} {
		if err := writeSynced(name, raw); err != nil {
			return "", err
		}
	}
	return blobs, nil
}

// publish makes all of it durable and shows it under the manifest's name.
func (f *fetch) publish() error {
	raw, err := json.Marshal(Record{
		Name: f.Name, Manifest: f.Manifest, Config: f.Locked.Config, Layers: f.Locked.Layers,
		Files: f.Locked.Files, Root: f.Root, Layout: f.Layout,
	})
	if err != nil {
		return err
	}
	if err := writeSynced(filepath.Join(f.dir, recordFile), raw); err != nil {
		return err
	}
	if err := syncDirs(f.dir); err != nil {
		return err
	}
	final := f.store.Path(f.Manifest)
	// An older form of the same image (without what is wanted now) makes room.
	if err := os.RemoveAll(final); err != nil {
		return fmt.Errorf("replace the stored image: %w", err)
	}
	if err := os.Rename(f.dir, final); err != nil {
		return fmt.Errorf("show the image in the store: %w", err)
	}
	return syncDir(f.store.Dir)
}
