package referrer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Registry is one repository in a registry. A registry without the referrers API gets the
// fallback tag written and read instead.
type Registry struct {
	repository name.Repository
	options    []remote.Option
}

// OpenRegistry returns a repository of a registry. Base carries out the requests, nil means
// go-containerregistry's default transport; options may add credentials.
func OpenRegistry(repository name.Repository, base http.RoundTripper, options ...remote.Option) *Registry {
	if base == nil {
		base = remote.DefaultTransport
	}
	return &Registry{repository, append(options, remote.WithTransport(bounded{base}))}
}

func (r *Registry) String() string { return r.repository.Name() }

func (r *Registry) with(ctx context.Context) []remote.Option {
	return append([]remote.Option{remote.WithContext(ctx)}, r.options...)
}

// Manifest implements Repository.
func (r *Registry) Manifest(ctx context.Context, reference string, limit int64) (Manifest, error) {
	var ref name.Reference = r.repository.Tag(reference)
	if digestForm.MatchString(reference) {
		ref = r.repository.Digest(reference)
	}
	d, err := remote.Get(ref, r.with(ctx)...)
	if err != nil {
		return Manifest{}, absent(err)
	}
	if int64(len(d.Manifest)) > limit {
		return Manifest{}, fmt.Errorf("manifest %s: more than the %d bytes allowed", reference, limit)
	}
	return Manifest{d.MediaType, d.Manifest}, checkContent(d.Manifest, d.Digest.String())
}

// Blob implements Repository.
func (r *Registry) Blob(ctx context.Context, digest string, limit int64) ([]byte, error) {
	if err := checkDigest(digest); err != nil {
		return nil, err
	}
	layer, err := remote.Layer(r.repository.Digest(digest), r.with(ctx)...)
	if err != nil {
		return nil, absent(err)
	}
	body, err := layer.Compressed()
	if err != nil {
		return nil, absent(err)
	}
	defer body.Close()
	b, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err != nil {
		return nil, fmt.Errorf("blob %s: %w", digest, err)
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("blob %s: more than the %d bytes allowed", digest, limit)
	}
	return b, checkContent(b, digest)
}

// PutBlob implements Repository.
func (r *Registry) PutBlob(ctx context.Context, content []byte) error {
	return remote.WriteLayer(r.repository, static.NewLayer(content, "application/octet-stream"), r.with(ctx)...)
}

// PutManifest implements Repository.
func (r *Registry) PutManifest(ctx context.Context, m Manifest, tag string) error {
	var ref name.Reference = r.repository.Digest(m.Digest())
	if tag != "" {
		ref = r.repository.Tag(tag)
	}
	return remote.Put(ref, stored{m}, r.with(ctx)...)
}

// Referrers implements Repository.
func (r *Registry) Referrers(ctx context.Context, digest string) ([]v1.Descriptor, error) {
	index, err := remote.Referrers(r.repository.Digest(digest), r.with(ctx)...)
	if err != nil {
		return nil, absent(err)
	}
	content, err := index.RawManifest()
	if err != nil {
		return nil, err
	}
	if len(content) > MaxList {
		return nil, fmt.Errorf("list of referrers: more than the %d bytes allowed", MaxList)
	}
	return parseList(content)
}

// stored makes a Manifest what go-containerregistry puts into registries.
type stored struct{ m Manifest }

func (s stored) RawManifest() ([]byte, error)        { return s.m.Content, nil }
func (s stored) MediaType() (types.MediaType, error) { return s.m.MediaType, nil }

// absent turns the registry's "not found" into ErrNotFound.
func absent(err error) error {
	var refused *transport.Error
	if errors.As(err, &refused) && refused.StatusCode == http.StatusNotFound {
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return err
}

// bounded cuts off answers that are no blobs after MaxManifest bytes: the client reads manifests
// whole, and a hostile registry may send without end.
type bounded struct{ base http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.base.RoundTrip(r)
	if err != nil || strings.Contains(r.URL.Path, "/blobs/") {
		return resp, err
	}
	resp.Body = &boundedBody{ReadCloser: resp.Body, left: MaxManifest}
	return resp, nil
}

type boundedBody struct {
	io.ReadCloser
	left int64
}

func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, fmt.Errorf("the registry's answer has more than the %d bytes allowed", MaxManifest)
	}
	return n, err
}
