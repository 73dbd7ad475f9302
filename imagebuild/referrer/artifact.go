package referrer

import (
	"context"
	"encoding/json"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Types of artifacts; each is also the media type of the artifact's one blob.
const (
	TypeSPDX       = "application/spdx+json"
	TypeCycloneDX  = "application/vnd.cyclonedx+json"
	TypeProvenance = "application/vnd.in-toto+json"
	TypeBundle     = "application/vnd.dev.sigstore.bundle.v0.3+json"
)

// Annotations of artifacts.
const (
	// AnnotationPlatform names the platform that an artifact is about: "linux/amd64".
	AnnotationPlatform = "build.slipway.platform"
	// AnnotationPredicate names the type of an in-toto predicate, as BuildKit does.
	AnnotationPredicate = "in-toto.io/predicate-type"
)

// empty is the configuration of every artifact: OCI's empty descriptor.
const empty = "{}"

const emptyType types.MediaType = "application/vnd.oci.empty.v1+json"

// Artifact is something that is said about an image.
type Artifact struct {
	Type        string // TypeSPDX and so on
	Annotations map[string]string
	Content     []byte
}

// Manifest returns the artifact's manifest for a subject. The same artifact gives the same bytes.
func (a Artifact) Manifest(subject v1.Descriptor) (Manifest, error) {
	if err := checkDigest(subject.Digest.String()); err != nil {
		return Manifest{}, fmt.Errorf("subject: %w", err)
	}
	content, config := Manifest{types.MediaType(a.Type), a.Content}, Manifest{emptyType, []byte(empty)}
	b, err := json.Marshal(v1.Manifest{
		SchemaVersion: 2,
		MediaType:     types.OCIManifestSchema1,
		ArtifactType:  a.Type,
		Config:        config.Descriptor(),
		Layers:        []v1.Descriptor{content.Descriptor()},
		Subject:       &v1.Descriptor{MediaType: subject.MediaType, Digest: subject.Digest, Size: subject.Size},
		Annotations:   a.Annotations,
	})
	return Manifest{types.OCIManifestSchema1, b}, err
}

// Attach stores an artifact beside its subject and returns the artifact's descriptor. It is safe
// to repeat; the subject need not be there yet.
func Attach(ctx context.Context, r Repository, subject v1.Descriptor, a Artifact) (v1.Descriptor, error) {
	fail := func(err error) (v1.Descriptor, error) {
		return v1.Descriptor{}, fmt.Errorf("attach %s to %s in %s: %w", a.Type, subject.Digest, r, err)
	}
	m, err := a.Manifest(subject)
	if err != nil {
		return fail(err)
	}
	for _, blob := range [][]byte{[]byte(empty), a.Content} {
		if err := r.PutBlob(ctx, blob); err != nil {
			return fail(err)
		}
	}
	if err := r.PutManifest(ctx, m, ""); err != nil {
		return fail(err)
	}
	d := m.Descriptor()
	d.ArtifactType, d.Annotations = a.Type, a.Annotations
	return d, nil
}

// List returns the descriptors of the artifacts that refer to digest; of one type unless
// artifactType is empty. None is not an error. The list is the repository's word alone: Read
// checks an artifact, and only a signature or the lock says that it may be believed.
func List(ctx context.Context, r Repository, digest, artifactType string) ([]v1.Descriptor, error) {
	if err := checkDigest(digest); err != nil {
		return nil, fmt.Errorf("list the referrers in %s: %w", r, err)
	}
	all, err := r.Referrers(ctx, digest)
	if err != nil {
		return nil, fmt.Errorf("list the referrers of %s in %s: %w", digest, r, err)
	}
	var chosen []v1.Descriptor
	for _, d := range all {
		if d.ArtifactType == "" || d.ArtifactType == string(emptyType) {
			if d, err = completed(ctx, r, digest, d); err != nil {
				return nil, fmt.Errorf("list the referrers of %s in %s: %s: %w", digest, r, d.Digest, err)
			}
		}
		if artifactType == "" || d.ArtifactType == artifactType {
			chosen = append(chosen, d)
		}
	}
	return chosen, nil
}

// completed adds to an entry what some registries leave out: type and annotations.
func completed(ctx context.Context, r Repository, subject string, d v1.Descriptor) (v1.Descriptor, error) {
	m, err := r.Manifest(ctx, d.Digest.String(), MaxArtifact)
	if err != nil {
		return d, err
	}
	entry, about, err := listEntry(m)
	if err != nil {
		return d, err
	}
	if about != subject {
		return d, fmt.Errorf("its subject is %q", about)
	}
	return entry, nil
}

// Read fetches an artifact that List has named and checks that its bytes are those of its
// digests, that it has the type that was listed, and that its subject is subject. Content of
// more than limit bytes is refused; 0 means MaxContent.
func Read(ctx context.Context, r Repository, subject string, d v1.Descriptor, limit int64) (*Artifact, error) {
	a, err := read(ctx, r, subject, d, limit)
	if err != nil {
		return nil, fmt.Errorf("artifact %s in %s: %w", d.Digest, r, err)
	}
	return a, nil
}

func read(ctx context.Context, r Repository, subject string, d v1.Descriptor, limit int64) (*Artifact, error) {
	m, err := r.Manifest(ctx, d.Digest.String(), MaxArtifact)
	if err != nil {
		return nil, err
	}
	a, layer, err := ParseArtifact(m.Content, subject)
	if err != nil {
		return nil, err
	}
	if d.ArtifactType != "" && d.ArtifactType != a.Type {
		return nil, fmt.Errorf("listed as %q, but its manifest says %q", d.ArtifactType, a.Type)
	}
	if limit == 0 {
		limit = MaxContent
	}
	if a.Content, err = r.Blob(ctx, layer.Digest.String(), min(limit, MaxContent)); err != nil {
		return nil, err
	}
	if int64(len(a.Content)) != layer.Size {
		return nil, fmt.Errorf("blob %s has %d bytes, its manifest says %d", layer.Digest, len(a.Content), layer.Size)
	}
	return a, nil
}

// ParseArtifact reads an artifact's manifest: one blob of a type, about subject. It returns the
// artifact without its content, and the blob's descriptor.
func ParseArtifact(manifest []byte, subject string) (*Artifact, v1.Descriptor, error) {
	var none v1.Descriptor
	var m v1.Manifest
	if err := json.Unmarshal(manifest, &m); err != nil {
		return nil, none, fmt.Errorf("manifest: %w", err)
	}
	switch {
	case m.Subject == nil:
		return nil, none, fmt.Errorf("manifest: it has no subject")
	case m.Subject.Digest.String() != subject:
		return nil, none, fmt.Errorf("manifest: its subject is %s, not %s", m.Subject.Digest, subject)
	case len(m.Layers) != 1:
		return nil, none, fmt.Errorf("manifest: %d layers, want the one of an artifact", len(m.Layers))
	}
	if err := checkDigest(m.Layers[0].Digest.String()); err != nil {
		return nil, none, fmt.Errorf("manifest: layer: %w", err)
	}
	kind := m.ArtifactType
	if kind == "" { // the specification's rule for manifests without a type
		kind = string(m.Config.MediaType)
	}
	return &Artifact{Type: kind, Annotations: m.Annotations}, m.Layers[0], nil
}
