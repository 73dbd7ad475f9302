package referrer

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"
)

// Limits of what is read. The first is what the distribution specification asks of registries; the
// others leave room above what is in use: a list of a hundred referrers has 60 KiB, and the
// largest inventory some hundred.
const (
	MaxManifest = 4 << 20   // bytes of an image's manifest or index
	MaxList     = 1 << 20   // bytes of a list of referrers
	MaxArtifact = 128 << 10 // bytes of an artifact's manifest
	MaxContent  = 32 << 20  // bytes of an artifact's content
)

// ErrNotFound says that a repository does not have what was asked for.
var ErrNotFound = errors.New("not found")

// Repository is one repository of images: a Layout or a Registry. What is read from it is
// checked against its digest and bounded; ErrNotFound tells absence apart.
type Repository interface {
	// String names the repository in messages.
	String() string
	// Manifest returns the manifest or index of a tag or a digest, if it has at most limit bytes.
	Manifest(ctx context.Context, reference string, limit int64) (Manifest, error)
	// Blob returns a blob of at most limit bytes.
	Blob(ctx context.Context, digest string, limit int64) ([]byte, error)
	// PutBlob stores a blob, unless it is there.
	PutBlob(ctx context.Context, content []byte) error
	// PutManifest stores a manifest, under a tag unless that is empty. A manifest with a subject
	// is listed among the subject's referrers from then on.
	PutManifest(ctx context.Context, m Manifest, tag string) error
	// Referrers lists the artifacts whose subject is digest, in the order of the list.
	Referrers(ctx context.Context, digest string) ([]v1.Descriptor, error)
}

// Manifest is a manifest or an index as it is stored.
type Manifest struct {
	MediaType types.MediaType
	Content   []byte
}

// Digest returns the manifest's digest.
func (m Manifest) Digest() string { return digest.FromBytes(m.Content).String() }

// Descriptor returns the plain descriptor of the manifest.
func (m Manifest) Descriptor() v1.Descriptor {
	return v1.Descriptor{MediaType: m.MediaType, Digest: hash(m.Digest()), Size: int64(len(m.Content))}
}

// Tag returns the fallback tag under which the referrers of a digest are listed: "sha256-<hex>".
func Tag(digest string) string { return strings.Replace(digest, ":", "-", 1) }

var digestForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// checkDigest refuses what is not a sha256 digest.
func checkDigest(d string) error {
	if !digestForm.MatchString(d) {
		return fmt.Errorf("%q is not a sha256 digest (sha256: and 64 hex digits)", d)
	}
	return nil
}

// hash converts a digest that is known to be one.
func hash(d string) v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: strings.TrimPrefix(d, "sha256:")}
}

// checkContent compares content with its digest.
func checkContent(content []byte, want string) error {
	if got := digest.FromBytes(content).String(); got != want {
		return fmt.Errorf("expected digest %s, found %s", want, got)
	}
	return nil
}
