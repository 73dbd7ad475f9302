package bundle

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/imagebuild/bundle/remote"
	"slipway.build/slipway/imagebuild/layout"
)

// ToRegistry is a registry that images go to.
type ToRegistry struct{ *remote.Registry }

// Has asks for an object by its digest.
func (t ToRegistry) Has(ctx context.Context, repository string, o Object, manifest bool) (bool, error) {
	return t.Registry.Has(ctx, repository, o.Digest, o.Size, manifest)
}

// PutBlob uploads a blob.
func (t ToRegistry) PutBlob(ctx context.Context, repository string, o Object, open func() (io.ReadCloser, error)) error {
	return t.Registry.PutBlob(ctx, repository, o.Digest, o.Size, open)
}

// Share mounts a blob from another repository.
func (t ToRegistry) Share(ctx context.Context, repository string, o Object, from string) (bool, error) {
	return t.Mount(ctx, repository, o.Digest, from)
}

// PutManifest stores a manifest under its digest. One with a subject is listed as a referrer, by the tag that the distribution
// specification 1.1 names where the registry does not do that by itself.
func (t ToRegistry) PutManifest(ctx context.Context, repository string, o Object, data []byte) error {
	_, err := t.Registry.PutManifest(ctx, repository, o.Digest, "", o.MediaType, data)
	return err
}

// refused reports whether a registry did not take a manifest.
func refused(err error) bool {
	status := remote.Status(err)
	return status == http.StatusBadRequest || status == http.StatusNotFound
}

// Name tags the root and lists it as a referrer.
func (t ToRegistry) Name(ctx context.Context, r *Root, data []byte) (bool, error) {
	changed := false
	if r.Tag != "" {
		digest, _, _, err := t.Resolve(ctx, r.Repository, r.Tag)
		if err != nil {
			return false, err
		}
		if digest != r.Descriptor.Digest.String() {
			last := r.Manifests[len(r.Manifests)-1]
			if _, err := t.Registry.PutManifest(ctx, r.Repository, last.Digest, r.Tag, last.MediaType, data); err != nil {
				return false, fmt.Errorf("tag %s: %w", r.Tag, err)
			}
			changed = true
		}
	}
	object, err := layout.ParseObject(data)
	if err != nil || object.Subject == nil {
		return changed, err
	}
	listed, err := t.list(ctx, r, object)
	return changed || listed, err
}

// list makes sure that a referrer is found by its subject.
func (t ToRegistry) list(ctx context.Context, r *Root, object *layout.Object) (bool, error) {
	supported, err := t.Referrers(ctx, r.Repository, r.About)
	if err != nil || supported {
		return false, err
	}
	tag := strings.Replace(r.About, ":", "-", 1)
	_, _, old, err := t.Resolve(ctx, r.Repository, tag)
	if err != nil {
		return false, err
	}
	index := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex}
	if old != nil {
		if err := json.Unmarshal(old, &index); err != nil || !index.MediaType.IsIndex() {
			return false, fault.Terminalf("tag %s of %s is no index of referrers", tag, r.Repository)
		}
	}
	last := r.Manifests[len(r.Manifests)-1]
	d := v1.Descriptor{MediaType: types.MediaType(last.MediaType), Size: last.Size, Digest: r.Descriptor.Digest,
		ArtifactType: object.ArtifactType, Annotations: object.Annotations}
	if d.ArtifactType == "" && len(object.Blobs) > 0 {
		d.ArtifactType = string(object.Blobs[0].MediaType)
	}
	if slices.ContainsFunc(index.Manifests, func(o v1.Descriptor) bool { return o.Digest == d.Digest }) {
		return false, nil
	}
	index.Manifests = append(index.Manifests, d)
	text, err := json.Marshal(index)
	if err != nil {
		return false, err
	}
	_, err = t.Registry.PutManifest(ctx, r.Repository, layout.Digest(text), tag, string(index.MediaType), text)
	return true, err
}

// Finish does nothing: a registry keeps what it has said that it has.
func (t ToRegistry) Finish(context.Context) (int, error) { return 0, nil }
