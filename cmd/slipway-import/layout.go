package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// maxManifest is the largest manifest that registries accept, in bytes.
const maxManifest = 4 << 20

// layout is an OCI layout's directory.
type layout string

func (l layout) path(d digest.Digest) string {
	return filepath.Join(string(l), "blobs", d.Algorithm().String(), d.Encoded())
}

// manifest returns the manifest with that digest, after checking it, and its descriptor.
func (l layout) manifest(d digest.Digest) (ocispec.Manifest, ocispec.Descriptor, error) {
	var m ocispec.Manifest
	f, err := os.Open(l.path(d))
	if err != nil {
		return m, ocispec.Descriptor{}, fmt.Errorf("read the manifest: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxManifest+1))
	if err != nil {
		return m, ocispec.Descriptor{}, fmt.Errorf("read the manifest: %w", err)
	}
	if len(data) > maxManifest || digest.FromBytes(data) != d {
		return m, ocispec.Descriptor{}, fmt.Errorf("the manifest in the layout has not the digest %s", d)
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return m, ocispec.Descriptor{}, fmt.Errorf("read the manifest: %w", err)
	}
	if m.MediaType == "" {
		m.MediaType = ocispec.MediaTypeImageManifest
	}
	if m.MediaType != ocispec.MediaTypeImageManifest || len(m.Layers) == 0 {
		return m, ocispec.Descriptor{}, fmt.Errorf("%s is of type %s, not the manifest of an image for one platform", d, m.MediaType)
	}
	return m, ocispec.Descriptor{MediaType: m.MediaType, Digest: d, Size: int64(len(data))}, nil
}

// copyTo copies a blob into containerd's store, which checks size and digest. A blob that it
// has is left as it is.
func (l layout) copyTo(ctx context.Context, store content.Store, desc ocispec.Descriptor, labels map[string]string) error {
	f, err := os.Open(l.path(desc.Digest))
	if err != nil {
		return fmt.Errorf("blob %s: %w", desc.Digest, err)
	}
	defer f.Close()
	err = content.WriteBlob(ctx, store, "slipway-import-"+desc.Digest.Encoded(), f, desc, content.WithLabels(labels))
	if err != nil && !errors.Is(err, errdefs.ErrAlreadyExists) {
		return fmt.Errorf("blob %s: %w", desc.Digest, err)
	}
	// A blob that was there before may lack the labels that keep what it refers to.
	if len(labels) == 0 {
		return nil
	}
	info := content.Info{Digest: desc.Digest, Labels: labels}
	var paths []string
	for key := range labels {
		paths = append(paths, "labels."+key)
	}
	if _, err := store.Update(ctx, info, paths...); err != nil {
		return fmt.Errorf("blob %s: label: %w", desc.Digest, err)
	}
	return nil
}
