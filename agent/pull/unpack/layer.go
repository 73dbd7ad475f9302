package unpack

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/imagebuild/lock"
)

// Layer reads one compressed layer of the given media type in one pass: the blob's digest,
// decompression, the files. The blob goes to keep too when that is not nil. It returns the
// paths of the files that it brought. When anything does not match, the digest of the blob is what
// the error names first, because a wrong blob explains everything after it; such errors are
// terminal and what the layer wrote is removed. Faults of src and of the disk are returned as they
// are.
func (t *Target) Layer(src Source, want lock.Layer, media string, keep io.Writer) ([]string, error) {
	blob := startAhead(src, keep)
	defer blob.stop()
	x := &extractor{Target: t, buffers: newBuffers()}
	err := x.stream(blob, want, media)
	switch {
	case blob.err != nil && blob.err != io.EOF:
		err = blob.err // the transport's own fault, or a length that is wrong
	case err == nil || !ours(err):
		err = blob.verdict(want, err)
	}
	if err != nil {
		if forget := t.Forget(x.brought); forget != nil && !ours(err) {
			err = forget
		}
		return nil, err
	}
	return x.brought, nil
}

// verdict reads on to the end, so that the digest is the blob's and its length is checked, and
// says what is wrong; err is what the stream within has shown.
func (a *ahead) verdict(want lock.Layer, err error) error {
	if rest := a.drain(); rest != nil {
		return rest
	}
	if found := a.digest(); found != want.Digest {
		return fault.Terminalf("expected digest %s, found %s", want.Digest, found)
	}
	if err != nil {
		return fault.Terminalf("blob %s: %w", want.Digest, err)
	}
	return nil
}

// stream decompresses and extracts. Files that are kept are compared with the signed lock one
// by one, and nothing else may be in the archive, so the stream's own digest would tell nothing
// more and cost as much as theirs; it is compared where the blob is kept for somebody else.
func (x *extractor) stream(blob io.Reader, want lock.Layer, media string) error {
	stream, release, err := decompress(media, blob)
	if err != nil {
		return err
	}
	defer release()
	bounded := &limited{r: stream, left: x.limit}
	if x.root != nil {
		return x.extract(bounded)
	}
	diff := &hashed{r: bounded, sum: sha256.New()}
	if err := x.extract(diff); err != nil {
		return err
	}
	if found := "sha256:" + hex.EncodeToString(diff.sum.Sum(nil)); found != want.DiffID {
		return fault.Terminalf("expected diff ID %s, found %s", want.DiffID, found)
	}
	return nil
}

// hashed hashes what passes a reader.
type hashed struct {
	r   io.Reader
	sum hash.Hash
}

func (h *hashed) Read(p []byte) (int, error) {
	n, err := h.r.Read(p)
	h.sum.Write(p[:n])
	return n, err
}

// ours tells errors of our own disk from those of the stream; names that collide are the
// archive's fault.
func ours(err error) bool {
	if errors.Is(err, unix.EEXIST) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.EISDIR) {
		return false
	}
	var keep *keepError
	var write *writeError
	var pathErr *os.PathError
	var callErr *os.SyscallError
	return errors.As(err, &keep) || errors.As(err, &write) || errors.As(err, &pathErr) || errors.As(err, &callErr)
}
