package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/imagebuild/layout"
)

// accepted are the media types of manifests and indexes.
const accepted = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, " +
	"application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json"

func kind(manifest bool) string {
	if manifest {
		return "manifests/"
	}
	return "blobs/"
}

// Has reports whether the repository has the blob or manifest with that digest. An answer that speaks of another digest or size is a terminal
// error: such a registry would serve something else.
func (r *Registry) Has(ctx context.Context, repository, digest string, size int64, manifest bool) (bool, error) {
	found := false
	err := r.try(ctx, func() error {
		req, err := r.request(http.MethodHead, repository, kind(manifest)+digest)
		if err != nil {
			return err
		}
		resp, err := r.send(ctx, repository, req, http.StatusOK, http.StatusNotFound)
		if err != nil {
			return err
		}
		resp.Body.Close()
		if found = resp.StatusCode == http.StatusOK; !found {
			return nil
		}
		if got := resp.Header.Get("Docker-Content-Digest"); got != "" && got != digest {
			return fault.Terminalf("%s of %s: expected digest %s, the registry offers %s", digest, repository, digest, got)
		}
		if n := resp.ContentLength; n >= 0 && n != size {
			return fault.Terminalf("%s of %s: expected %d bytes, the registry offers %d", digest, repository, size, n)
		}
		return nil
	})
	return found, err
}

// Resolve returns the digest and bytes of the manifest or index that a tag or digest stands for, hashed; "" when there is
// none.
func (r *Registry) Resolve(ctx context.Context, repository, reference string) (digest, media string, data []byte, err error) {
	err = r.try(ctx, func() error {
		req, err := r.request(http.MethodGet, repository, "manifests/"+reference)
		if err != nil {
			return err
		}
		resp, err := r.send(ctx, repository, req, http.StatusOK, http.StatusNotFound)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode == http.StatusNotFound {
			digest, data = "", nil
			return nil
		}
		if data, err = io.ReadAll(io.LimitReader(resp.Body, layout.MaxManifest+1)); err != nil {
			return &passing{err: err}
		}
		if len(data) > layout.MaxManifest {
			return fault.Terminalf("%s/%s: a manifest of more than %d bytes", repository, reference, layout.MaxManifest)
		}
		digest, media = layout.Digest(data), resp.Header.Get("Content-Type")
		if strings.HasPrefix(reference, "sha256:") && digest != reference {
			return fault.Terminalf("manifest of %s: %w", repository, &layout.DigestError{Expected: reference, Found: digest})
		}
		return nil
	})
	return digest, media, data, err
}

func (r *Registry) request(method, repository, rest string) (*http.Request, error) {
	req, err := http.NewRequest(method, r.url(repository, rest).String(), nil)
	if err == nil && strings.HasPrefix(rest, "manifests/") {
		req.Header.Set("Accept", accepted)
	}
	return req, err
}

// Open opens a blob or manifest. A connection that breaks is made again and goes on at its byte; the bytes are
// not hashed here.
func (r *Registry) Open(ctx context.Context, repository, digest string, size int64, manifest bool) (io.ReadCloser, error) {
	b := &reading{ctx: ctx, r: r, repository: repository, rest: kind(manifest) + digest, size: size}
	if err := r.try(ctx, b.connect); err != nil {
		return nil, err
	}
	return b, nil
}

// reading is a blob on its way.
type reading struct {
	ctx              context.Context
	r                *Registry
	repository, rest string
	size, at         int64
	body             io.ReadCloser
	broken           int
}

func (b *reading) connect() error {
	req, err := b.r.request(http.MethodGet, b.repository, b.rest)
	if err != nil {
		return err
	}
	wanted := http.StatusOK
	if b.at > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", b.at, b.size-1))
		wanted = http.StatusPartialContent
	}
	resp, err := b.r.send(b.ctx, b.repository, req, wanted, http.StatusOK)
	if err != nil {
		return err
	}
	if resp.StatusCode == http.StatusOK && b.at > 0 { // it knows no ranges
		if _, err := io.CopyN(io.Discard, resp.Body, b.at); err != nil {
			return errors.Join(&passing{err: err}, resp.Body.Close())
		}
	} else if from := resp.Header.Get("Content-Range"); b.at > 0 && !strings.HasPrefix(from, "bytes "+strconv.FormatInt(b.at, 10)+"-") {
		return errors.Join(fault.Terminalf("%s: asked for bytes from %d on, the registry sends %q", b.rest, b.at, from), resp.Body.Close())
	}
	b.body = resp.Body
	return nil
}

func (b *reading) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	b.at += int64(n)
	if n > 0 {
		b.broken = 0
	}
	if err == nil || errors.Is(err, io.EOF) && b.at >= b.size {
		return n, err
	}
	if b.ctx.Err() != nil {
		return n, context.Cause(b.ctx)
	}
	_ = b.body.Close()
	if b.broken++; b.broken > 8 {
		return n, fault.Retriablef("the connection broke %d times at byte %d of %d: %w", b.broken, b.at, b.size, err)
	}
	b.r.Retries.Add(1)
	return n, b.r.try(b.ctx, b.connect)
}

func (b *reading) Close() error { return b.body.Close() }

// Referrers reports whether the registry lists referrers by itself (distribution specification 1.1).
func (r *Registry) Referrers(ctx context.Context, repository, digest string) (bool, error) {
	list, err := r.ListReferrers(ctx, repository, digest)
	return list != nil, err
}

// ListReferrers returns the index of what refers to a digest; nil from a registry that does not list referrers.
func (r *Registry) ListReferrers(ctx context.Context, repository, digest string) ([]byte, error) {
	var list []byte
	err := r.try(ctx, func() error {
		req, err := r.request(http.MethodGet, repository, "referrers/"+digest)
		if err != nil {
			return err
		}
		resp, err := r.send(ctx, repository, req, http.StatusOK, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusBadRequest)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK || !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/vnd.oci.image.index.v1+json") {
			return nil
		}
		if list, err = io.ReadAll(io.LimitReader(resp.Body, layout.MaxManifest)); err != nil {
			return &passing{err: err}
		}
		return nil
	})
	return list, err
}
