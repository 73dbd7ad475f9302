package bundle

import (
	"archive/tar"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/imagebuild/layout"
)

const marker = `{"imageLayoutVersion":"1.0.0"}`

// Summary says what was carried.
type Summary struct {
	Images   []string `json:"images"`   // "repository:tag"
	Attached int      `json:"attached"` // signatures, evidence, the lock
	Blobs    int      `json:"blobs"`    // manifests included
	Bytes    int64    `json:"bytes"`
}

// Write writes everything that the source has as one tar archive of an OCI layout: the same bytes for the same
// source, entries sorted, at the epoch, owned by root. A blob that is not what its digest says is a terminal error, after
// which what was written is no archive. progress may be nil; it is called with bytes done and in all.
func Write(ctx context.Context, w io.Writer, source Source, progress func(done, total int64)) (*Summary, error) {
	roots, err := source.Roots(ctx)
	if err != nil {
		return nil, err
	}
	sum, objects := gather(roots)
	index, err := json.Marshal(indexOf(roots, layout.AttachedName))
	if err != nil {
		return nil, err
	}
	tw := tar.NewWriter(w)
	for _, dir := range []string{"blobs/", "blobs/sha256/"} {
		if err := tw.WriteHeader(header(dir, 0)); err != nil {
			return nil, err
		}
	}
	var done int64
	for _, o := range objects {
		if err := writeBlob(ctx, tw, source, o); err != nil {
			return nil, fmt.Errorf("%s: %w", o.root, err)
		}
		if done += o.Size; progress != nil {
			progress(done, sum.Bytes)
		}
	}
	for _, file := range []struct {
		name string
		data []byte
	}{{"index.json", index}, {"oci-layout", []byte(marker)}} {
		if err := tw.WriteHeader(header(file.name, int64(len(file.data)))); err != nil {
			return nil, err
		}
		if _, err := tw.Write(file.data); err != nil {
			return nil, err
		}
	}
	return sum, tw.Close()
}

// owned is an object with the first root that has it.
type owned struct {
	Object
	root, repository string
	manifest         bool
}

// gather lists every object once, by digest.
func gather(roots []Root) (*Summary, []owned) {
	sum := &Summary{Images: []string{}}
	var all []owned
	seen := map[string]bool{}
	add := func(r *Root, list []Object, manifest bool) {
		for _, o := range list {
			if !seen[o.Digest] {
				seen[o.Digest] = true
				all = append(all, owned{o, r.Name(), r.Repository, manifest})
				sum.Bytes += o.Size
			}
		}
	}
	for i := range roots {
		r := &roots[i]
		add(r, r.Manifests, true)
		add(r, r.Blobs, false)
		if r.image() {
			sum.Images = append(sum.Images, r.Name())
		} else {
			sum.Attached++
		}
	}
	slices.Sort(sum.Images)
	sum.Blobs = len(all)
	slices.SortFunc(all, func(a, b owned) int { return strings.Compare(a.Digest, b.Digest) })
	return sum, all
}

// image reports whether the root is an image that other programs can use by its name.
func (r *Root) image() bool {
	return r.About == "" && r.Tag != "" && r.Descriptor.ArtifactType == ""
}

// indexOf returns index.json of the roots; attached is the annotation that names what is no image.
func indexOf(roots []Root, attached string) v1.IndexManifest {
	index := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{}}
	for i := range roots {
		r := &roots[i]
		last := r.Manifests[len(r.Manifests)-1]
		d := v1.Descriptor{MediaType: types.MediaType(last.MediaType), Size: last.Size, Digest: r.Descriptor.Digest,
			ArtifactType: r.Descriptor.ArtifactType, Platform: r.Descriptor.Platform}
		switch {
		case r.image():
			d.Annotations = map[string]string{layout.RefName: r.Name(), ContainerdName: r.Name()}
		case r.Tag != "":
			d.Annotations = map[string]string{attached: r.Name()}
		}
		index.Manifests = append(index.Manifests, d)
	}
	slices.SortFunc(index.Manifests, func(a, b v1.Descriptor) int {
		return cmp.Or(strings.Compare(a.Annotations[layout.RefName], b.Annotations[layout.RefName]),
			strings.Compare(a.Annotations[layout.AttachedName], b.Annotations[layout.AttachedName]),
			strings.Compare(a.Digest.Hex, b.Digest.Hex))
	})
	return index
}

func header(name string, size int64) *tar.Header {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: size, ModTime: time.Unix(0, 0).UTC(), Format: tar.FormatUSTAR}
	if strings.HasSuffix(name, "/") {
		h.Typeflag, h.Mode = tar.TypeDir, 0o755
	}
	return h
}

func writeBlob(ctx context.Context, tw *tar.Writer, source Source, o owned) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	r, err := source.Open(ctx, o.repository, o.Object, o.manifest)
	if err != nil {
		return err
	}
	defer r.Close()
	if err := tw.WriteHeader(header("blobs/sha256/"+strings.TrimPrefix(o.Digest, "sha256:"), o.Size)); err != nil {
		return fmt.Errorf("write the archive: %w", err)
	}
	checked := newChecked(ctx, r, o.Object)
	if _, err := io.Copy(tw, checked); err != nil {
		return fmt.Errorf("blob %s: %w", o.Digest, err)
	}
	return nil
}

// checked reads an object and ends with an error, in place of the end, when its bytes are not those of its digest
// and size.
type checked struct {
	ctx context.Context
	r   io.Reader
	o   Object
	sum interface {
		io.Writer
		Sum([]byte) []byte
	}
	n int64
}

func newChecked(ctx context.Context, r io.Reader, o Object) *checked {
	return &checked{ctx: ctx, r: io.LimitReader(r, o.Size+1), o: o, sum: sha256.New()}
}

// whole reads an object to its end and closes it.
func whole(ctx context.Context, r io.ReadCloser, o Object) ([]byte, error) {
	defer r.Close()
	return io.ReadAll(newChecked(ctx, r, o))
}

func (c *checked) Read(p []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, context.Cause(c.ctx)
	}
	n, err := c.r.Read(p)
	c.n += int64(n)
	_, _ = c.sum.Write(p[:n])
	if c.n > c.o.Size {
		return 0, fault.Terminalf("expected %d bytes, found more", c.o.Size)
	}
	if err != io.EOF {
		return n, err
	}
	if c.n != c.o.Size {
		return n, fault.Retriablef("expected %d bytes, found %d: %w", c.o.Size, c.n, io.ErrUnexpectedEOF)
	}
	if found := "sha256:" + hex.EncodeToString(c.sum.Sum(nil)); found != c.o.Digest {
		return n, fault.Terminalf("%w", &layout.DigestError{Expected: c.o.Digest, Found: found})
	}
	return n, io.EOF
}
