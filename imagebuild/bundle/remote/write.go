package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"slipway.build/slipway/agent/fault"
)

// Mount makes a blob of another repository of this registry one of this one's, without its bytes travelling. False: the
// registry does not do that.
func (r *Registry) Mount(ctx context.Context, repository, digest, from string) (bool, error) {
	mounted := false
	err := r.try(ctx, func() error {
		at := r.url(repository, "blobs/uploads/")
		at.RawQuery = url.Values{"mount": {digest}, "from": {r.prefix + from}}.Encode()
		req, err := http.NewRequest(http.MethodPost, at.String(), nil)
		if err != nil {
			return err
		}
		resp, err := r.send(ctx, repository, req, http.StatusCreated, http.StatusAccepted)
		if err != nil {
			return err
		}
		resp.Body.Close()
		mounted = resp.StatusCode == http.StatusCreated
		return nil
	})
	return mounted, err
}

// PutBlob uploads a blob in chunks. After a failure the registry is asked how much it has, and the upload goes on there; when
// it does not say, the blob is opened anew. The registry compares the digest, and its answer is compared again.
func (r *Registry) PutBlob(ctx context.Context, repository, digest string, size int64, open func() (io.ReadCloser, error)) error {
	return r.try(ctx, func() error {
		source, err := open()
		if err != nil {
			return err
		}
		defer source.Close()
		u := &upload{r: r, repository: repository, digest: digest, size: size}
		if err := u.begin(ctx); err != nil {
			return err
		}
		err = u.run(ctx, source)
		var again *restart
		if errors.As(err, &again) {
			return &passing{err: again.error}
		}
		return err
	})
}

// restart says that an upload has to begin anew.
type restart struct{ error }

// upload is one upload session.
type upload struct {
	r                  *Registry
	repository, digest string
	size, sent         int64
	at                 *url.URL
}

func (u *upload) begin(ctx context.Context) error {
	req, err := http.NewRequest(http.MethodPost, u.r.url(u.repository, "blobs/uploads/").String(), nil)
	if err != nil {
		return err
	}
	resp, err := u.r.send(ctx, u.repository, req, http.StatusAccepted)
	if err != nil {
		return err
	}
	resp.Body.Close()
	return u.moved(resp)
}

// moved takes over where the session goes on.
func (u *upload) moved(resp *http.Response) error {
	to, err := resp.Location()
	if errors.Is(err, http.ErrNoLocation) {
		if u.at != nil {
			return nil
		}
		return fault.Terminalf("the registry does not say where to upload to")
	}
	if err != nil {
		return fault.Terminalf("where to upload to: %w", err)
	}
	u.at = to
	return nil
}

func (u *upload) run(ctx context.Context, source io.Reader) error {
	size := u.r.Chunk
	if size == 0 {
		size = 8 << 20
	}
	chunk := make([]byte, min(int64(size), u.size+1))
	for u.sent <= u.size {
		n, err := io.ReadFull(source, chunk)
		last := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !last {
			return err
		}
		if n > 0 {
			if err := u.chunk(ctx, chunk[:n]); err != nil {
				return err
			}
		}
		if last {
			break
		}
	}
	if u.sent != u.size {
		return fault.Retriablef("blob %s: expected %d bytes, found %d", u.digest, u.size, u.sent)
	}
	return u.end(ctx)
}

// end ends the session. When the first answer was lost, the session may be over: then the blob is there, or
// the upload begins anew.
func (u *upload) end(ctx context.Context) error {
	attempts := 0
	err := u.r.try(ctx, func() error {
		attempts++
		return u.finish(ctx)
	})
	if err == nil || attempts == 1 || Status(err) != http.StatusNotFound && Status(err) != http.StatusBadRequest {
		return err
	}
	if has, err := u.r.Has(ctx, u.repository, u.digest, u.size, false); err != nil || has {
		return err
	}
	return &restart{err}
}

// chunk sends one chunk, as often as it takes.
func (u *upload) chunk(ctx context.Context, data []byte) error {
	end := u.sent + int64(len(data))
	return u.r.try(ctx, func() error {
		if u.sent == end {
			return nil
		}
		rest := data[int64(len(data))-(end-u.sent):]
		req, err := http.NewRequest(http.MethodPatch, u.at.String(), bytes.NewReader(rest))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/octet-stream")
		req.Header.Set("Content-Range", fmt.Sprintf("%d-%d", u.sent, end-1))
		resp, err := u.r.send(ctx, u.repository, req, http.StatusAccepted, http.StatusNoContent, http.StatusCreated)
		if err == nil {
			resp.Body.Close()
			u.sent = end
			return u.moved(resp)
		}
		may := &passing{err: err}
		if !errors.As(err, &may) && Status(err) != http.StatusRequestedRangeNotSatisfiable {
			return err
		}
		lost := u.status(ctx, end-int64(len(data)), end)
		if lost != nil && !(may.answered && Status(lost) == http.StatusBadRequest) { // which is how go-containerregistry's says that it knows no status
			return &restart{errors.Join(err, lost)}
		}
		return may
	})
}

// status asks how much of the blob the registry has, which must lie within the chunk on its way.
func (u *upload) status(ctx context.Context, from, to int64) error {
	req, err := http.NewRequest(http.MethodGet, u.at.String(), nil)
	if err != nil {
		return err
	}
	resp, err := u.r.send(ctx, u.repository, req, http.StatusNoContent, http.StatusOK)
	if err != nil {
		return err
	}
	resp.Body.Close()
	_, last, ok := strings.Cut(resp.Header.Get("Range"), "-")
	n, err := strconv.ParseInt(last, 10, 64)
	if !ok || err != nil {
		return fault.Retriablef("the registry does not say how much it has of blob %s", u.digest)
	}
	if n > 0 || from > 0 { // 0-0 is how an empty upload is said
		n++
	}
	if n < from || n > to {
		return fault.Retriablef("the registry has %d bytes of blob %s, sent were %d to %d", n, u.digest, from, to)
	}
	u.sent = n
	return u.moved(resp)
}

// finish ends the session under the digest.
func (u *upload) finish(ctx context.Context) error {
	at := *u.at
	query := at.Query()
	query.Set("digest", u.digest)
	at.RawQuery = query.Encode()
	req, err := http.NewRequest(http.MethodPut, at.String(), nil)
	if err != nil {
		return err
	}
	resp, err := u.r.send(ctx, u.repository, req, http.StatusCreated, http.StatusNoContent)
	if err != nil {
		return err
	}
	resp.Body.Close()
	if got := resp.Header.Get("Docker-Content-Digest"); got != "" && got != u.digest {
		return fault.Terminalf("blob %s: the registry has stored it as %s", u.digest, got)
	}
	return nil
}

// PutManifest stores a manifest or index under its digest and, if tag is not empty, under that, too. subject reports
// whether the registry will list it as a referrer of its subject by itself.
func (r *Registry) PutManifest(ctx context.Context, repository, digest, tag, media string, data []byte) (subject bool, err error) {
	reference := digest
	if tag != "" {
		reference = tag
	}
	err = r.try(ctx, func() error {
		req, err := http.NewRequest(http.MethodPut, r.url(repository, "manifests/"+reference).String(), bytes.NewReader(data))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", media)
		resp, err := r.send(ctx, repository, req, http.StatusCreated, http.StatusAccepted, http.StatusOK)
		if err != nil {
			return err
		}
		resp.Body.Close()
		subject = resp.Header.Get("OCI-Subject") != ""
		if got := resp.Header.Get("Docker-Content-Digest"); got != "" && got != digest {
			return fault.Terminalf("manifest %s: the registry has stored it as %s", digest, got)
		}
		return nil
	})
	return subject, err
}
