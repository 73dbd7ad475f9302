package testimages

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/renameio/v2"

	"slipway.build/slipway/imagebuild/registry"
)

// Options say what Build takes and where it works.
type Options struct {
	// Lock names the packages, and the images for Build to hold its own against.
	Lock *Lock
	// Programs are the files that are no package's.
	Programs Programs
	// Dir keeps packages and layouts by content.
	Dir string
}

// Build makes the images into an OCI layout, unless it is there, and returns its directory. An
// image that is not the lock's is an error that names both digests, and no layout is left.
func Build(ctx context.Context, o Options) (string, error) {
	if o.Lock.Kubernetes == "" || len(o.Lock.Images) == 0 {
		return "", errors.New("the lock of the tests' images names none: run `go run ./ci/conformance/run -lock`")
	}
	key, err := o.key()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(o.Dir, "images", key)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	built, err := o.build(ctx, dir, o.Lock.Sets, func(built []Locked) error { return o.Lock.Check(built) })
	if err != nil {
		return "", fmt.Errorf("build the tests' images: %w", err)
	}
	if len(built) == 0 {
		return "", errors.New("build the tests' images: there are none")
	}
	return dir, nil
}

// Update returns a lock with the archive's present packages and the images made of them.
func Update(ctx context.Context, o Options, kubernetes string) (*Lock, error) {
	l := &Lock{Schema: 1, Kubernetes: kubernetes, Sets: map[string][]Package{}}
	d := debs{filepath.Join(o.Dir, "debian")}
	if err := os.MkdirAll(d.dir, 0o755); err != nil {
		return nil, err
	}
	have := map[string]bool{}
	for _, set := range []string{busyboxSet, toolSet, serverSet} { // the server adds to the tools
		all, err := closure(ctx, wanted()[set])
		if err != nil {
			return nil, err
		}
		all = slices.DeleteFunc(all, func(p Package) bool {
			return set == serverSet && have[p.Name] || set == busyboxSet && !slices.Contains(wanted()[set], p.Name) // static programs need nothing
		})
		if l.Sets[set], err = d.download(ctx, all); err != nil {
			return nil, err
		}
		for _, p := range all {
			have[p.Name] = have[p.Name] || set == toolSet
		}
	}
	temp, err := os.MkdirTemp(o.Dir, ".lock-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(temp)
	l.Images, err = o.build(ctx, filepath.Join(temp, "layout"), l.Sets, func([]Locked) error { return nil })
	return l, err
}

// format is the version of what this package itself decides about the images' bytes.
const format = 2

// key names the layout by everything that decides it.
func (o Options) key() (string, error) {
	in := struct {
		Format   int
		Lock     *Lock
		Programs map[string]string
	}{format, o.Lock, map[string]string{}}
	for name, f := range o.Programs.files() {
		sum, _, err := sumFile(f)
		if err != nil {
			return "", fmt.Errorf("program of the tests' images: %w", err)
		}
		in.Programs[name] = sum
	}
	b, err := json.Marshal(in)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

// build writes the layout under another name first.
func (o Options) build(ctx context.Context, dir string, sets map[string][]Package, check func([]Locked) error) ([]Locked, error) {
	d := debs{filepath.Join(o.Dir, "debian")}
	for _, set := range []string{busyboxSet, toolSet, serverSet} {
		if len(sets[set]) == 0 {
			return nil, fmt.Errorf("the lock has no packages in the set %s", set)
		}
		if err := d.fetch(ctx, sets[set]); err != nil {
			return nil, err
		}
	}
	all, err := recipes(ctx, d, sets, o.Programs)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return nil, err
	}
	work, err := os.MkdirTemp(filepath.Dir(dir), ".layout-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	l := layout{dir: work, layers: map[string]layer{}}
	built, err := l.write(all)
	if err != nil {
		return nil, err
	}
	if err := check(built); err != nil {
		return nil, err
	}
	if err := os.Chmod(work, 0o755); err != nil {
		return nil, err
	}
	if err := os.Rename(work, dir); err != nil {
		if _, there := os.Stat(dir); there != nil {
			return nil, err
		}
	}
	return built, nil
}

// layout is an OCI layout that is being written.
type layout struct {
	dir    string
	layers map[string]layer // by digest
}

type layer struct {
	digest v1.Hash
	size   int64
}

func (l *layout) write(all []recipe) ([]Locked, error) {
	if err := os.MkdirAll(filepath.Join(l.dir, "blobs", "sha256"), 0o755); err != nil {
		return nil, err
	}
	index := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex}
	var built []Locked
	for _, r := range all {
		d, err := l.image(r)
		if err != nil {
			return nil, fmt.Errorf("%s:%s: %w", r.repository, r.tag, err)
		}
		m := Locked{Repository: r.repository, Tag: r.tag, Manifest: d.Digest.String()}
		d.Annotations = map[string]string{registry.RefName: m.Name()}
		index.Manifests = append(index.Manifests, d)
		built = append(built, m)
	}
	slices.SortFunc(built, func(a, b Locked) int { return strings.Compare(a.Name(), b.Name()) })
	slices.SortFunc(index.Manifests, func(a, b v1.Descriptor) int {
		return strings.Compare(a.Annotations[registry.RefName], b.Annotations[registry.RefName])
	})
	text, err := json.MarshalIndent(index, "", "  ")
	if err != nil {
		return nil, err
	}
	return built, errors.Join(
		renameio.WriteFile(filepath.Join(l.dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o644),
		renameio.WriteFile(filepath.Join(l.dir, "index.json"), append(text, '\n'), 0o644))
}

// image writes one image. Layers are not compressed: the registry is on the same machine, and
// no compressor's version decides a digest.
func (l *layout) image(r recipe) (v1.Descriptor, error) {
	epoch := v1.Time{Time: time.Unix(0, 0).UTC()}
	config := v1.ConfigFile{
		Created: epoch, OS: "linux", Architecture: "amd64",
		Config: v1.Config{
			Entrypoint: r.entrypoint, Cmd: r.cmd, User: r.user, WorkingDir: "/",
			Env:    []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
			Labels: map[string]string{"org.opencontainers.image.version": r.tag},
		},
		RootFS: v1.RootFS{Type: "layers"},
	}
	m := v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1}
	for _, t := range r.layers {
		b, err := t.bytes()
		if err != nil {
			return v1.Descriptor{}, err
		}
		d, err := l.blob(b, types.OCIUncompressedLayer)
		if err != nil {
			return v1.Descriptor{}, err
		}
		m.Layers = append(m.Layers, d)
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, d.Digest)
		config.History = append(config.History, v1.History{Created: epoch, CreatedBy: "slipway conformance"})
	}
	var err error
	if m.Config, err = l.json(config, types.OCIConfigJSON); err != nil {
		return v1.Descriptor{}, err
	}
	return l.json(m, types.OCIManifestSchema1)
}

func (l *layout) json(v any, mediaType types.MediaType) (v1.Descriptor, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return v1.Descriptor{}, err
	}
	return l.blob(b, mediaType)
}

func (l *layout) blob(b []byte, mediaType types.MediaType) (v1.Descriptor, error) {
	sum := sha256.Sum256(b)
	d := v1.Descriptor{MediaType: mediaType, Size: int64(len(b)), Digest: v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])}}
	file := filepath.Join(l.dir, "blobs", "sha256", d.Digest.Hex)
	if _, err := os.Stat(file); err == nil {
		return d, nil
	}
	return d, os.WriteFile(file, b, 0o444)
}
