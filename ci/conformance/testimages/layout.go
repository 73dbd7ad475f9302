package testimages

import (
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

	ocilayout "slipway.build/slipway/imagebuild/layout"
)

// layout is an OCI layout that is being written.
type layout struct{ dir string }

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
		d.Annotations = map[string]string{ocilayout.RefName: m.Name()}
		index.Manifests = append(index.Manifests, d)
		built = append(built, m)
	}
	slices.SortFunc(built, func(a, b Locked) int { return strings.Compare(a.Name(), b.Name()) })
	slices.SortFunc(index.Manifests, func(a, b v1.Descriptor) int {
		return strings.Compare(a.Annotations[ocilayout.RefName], b.Annotations[ocilayout.RefName])
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
