package transport

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// layoutDir is the directory of an OCI layout.
type layoutDir string

func newLayout(dir string) (layoutDir, error) {
	text, err := os.ReadFile(filepath.Join(dir, "oci-layout"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", errors.New("it is no OCI layout: there is no file oci-layout in it")
	}
	if err != nil {
		return "", err
	}
	return layoutDir(dir), checkVersion(text)
}

func checkVersion(text []byte) error {
	var version struct{ ImageLayoutVersion string }
	if err := json.Unmarshal(text, &version); err != nil {
		return fmt.Errorf("oci-layout: %w", err)
	}
	if version.ImageLayoutVersion != "1.0.0" {
		return fmt.Errorf("oci-layout: version %q is none that is known (1.0.0)", version.ImageLayoutVersion)
	}
	return nil
}

func (l layoutDir) path(digest v1.Hash) string {
	return filepath.Join(string(l), "blobs", digest.Algorithm, digest.Hex)
}

func (l layoutDir) open(digest v1.Hash) (io.ReadCloser, int64, error) {
	f, err := os.Open(l.path(digest))
	if err != nil {
		return nil, 0, err
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, st.Size(), nil
}

func (l layoutDir) index() ([]byte, error) { return readFile(filepath.Join(string(l), "index.json")) }

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readBounded(f)
}

func readBounded(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxManifest+1))
	if err == nil && len(data) > maxManifest {
		err = fmt.Errorf("it is larger than %d bytes", maxManifest)
	}
	return data, err
}

// openLayout finds the image of a reference in a layout. One that is not pinned has to be the only one for
// the architecture.
func openLayout(ref Reference, b blobs, opts Options) (*Image, error) {
	raw, err := b.index()
	if err != nil {
		return nil, fmt.Errorf("index.json: %w", err)
	}
	index, err := v1.ParseIndexManifest(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("index.json: %w", err)
	}
	desc, err := named(index, ref.Digest)
	if err != nil {
		return nil, err
	}
	called := desc.Annotations[refName]
	manifest, err := readBlob(b, desc.Digest)
	if err != nil {
		return nil, err
	}
	kind := mediaType(said(manifest), desc.MediaType)
	if kind.IsIndex() {
		if desc, err = resolve(manifest, opts.Architecture); err != nil {
			return nil, err
		}
		if manifest, err = readBlob(b, desc.Digest); err != nil {
			return nil, err
		}
		kind = mediaType(said(manifest), desc.MediaType)
	}
	if !kind.IsImage() {
		return nil, fmt.Errorf("%s is of type %q, which is no image", desc.Digest, kind)
	}
	image, err := partial.CompressedToImage(&stored{blobs: b, manifest: manifest, mediaType: kind})
	if err != nil {
		return nil, err
	}
	return &Image{Image: image, Reference: ref, Name: called, blobs: b}, nil
}

func said(manifest []byte) types.MediaType {
	var m struct{ MediaType types.MediaType }
	_ = json.Unmarshal(manifest, &m) // what is no JSON says nothing, and is refused when it is parsed
	return m.MediaType
}

// named is the descriptor of a digest, which may be of an image within an index.
func named(index *v1.IndexManifest, digest v1.Hash) (v1.Descriptor, error) {
	var images []v1.Descriptor
	var there []string
	for _, d := range index.Manifests {
		if d.Digest == digest {
			return d, nil
		}
		if isImage(d) {
			images = append(images, d)
			there = append(there, d.Digest.String())
		}
	}
	switch {
	case digest != v1.Hash{} && len(images) > 0:
		return v1.Descriptor{Digest: digest, MediaType: types.OCIManifestSchema1}, nil
	case len(images) == 0:
		return v1.Descriptor{}, errors.New("the layout holds no image")
	case len(images) > 1:
		return v1.Descriptor{}, fmt.Errorf("the layout holds %d images; say which with @ and its digest: %s", len(images), strings.Join(there, ", "))
	}
	return images[0], nil
}

// isImage tells images from signatures and referrers. Some writers give an image the type of its
// configuration for an artifact's.
func isImage(d v1.Descriptor) bool {
	if !d.MediaType.IsImage() && !d.MediaType.IsIndex() || signatureTag.MatchString(d.Annotations[refName]) {
		return false
	}
	return d.ArtifactType == "" || types.MediaType(d.ArtifactType).IsConfig()
}

// signatureTag is the tag of a signature, and of a list of referrers.
var signatureTag = regexp.MustCompile(`(^|:)sha256-[0-9a-f]{64}(\.[a-z]+)?$`)

// readBlob reads a manifest or configuration whole and holds it against its digest.
func readBlob(b blobs, digest v1.Hash) ([]byte, error) {
	r, _, err := b.open(digest)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("blob %s is not there: the layout is incomplete, or the digest is of another image", digest)
	}
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := readBounded(r)
	if err != nil {
		return nil, fmt.Errorf("blob %s: %w", digest, err)
	}
	if got, _, _ := v1.SHA256(bytes.NewReader(data)); got != digest {
		return nil, fmt.Errorf("blob %s: its bytes have digest %s", digest, got)
	}
	return data, nil
}

// IsLayout says whether a directory is an OCI layout.
func IsLayout(dir string) bool {
	_, err := newLayout(dir)
	return err == nil
}

// IsArchive says whether a file is an OCI archive, and no other tar.
func IsArchive(file string) bool {
	_, err := newArchive(file)
	return err == nil
}
