package layout

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"slipway.build/slipway/agent/fault"
)

// RefName is the annotation by which a layout's index names an image: "repository:tag".
const RefName = "org.opencontainers.image.ref.name"

// AttachedName names what is attached to an image, "repository:tag", in an archive: under RefName containerd would take
// it for an image.
const AttachedName = "build.slipway.ref.name"

// MaxManifest is the largest manifest, index or configuration that is read into memory: 4 MiB,
// as the OCI distribution specification asks registries to accept.
const MaxManifest = 4 << 20

var digestForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// Layout is an opened OCI layout. Its methods may be called by several goroutines.
type Layout struct {
	path string
	kind string // "directory" or "archive"
	// open returns what has that name in the layout, such as "blobs/sha256/…".
	open   func(name string) (*Blob, error)
	close  func() error
	blobs  map[string]int64 // sizes by digest, as they were when the layout was opened
	strays []string
}

// Blob is an opened blob. Its bytes are not verified.
type Blob struct {
	*io.SectionReader
	close func() error
}

// Close releases the blob.
func (b *Blob) Close() error { return b.close() }

// Open opens the layout at path: a directory, or a tar archive of one, not compressed. Errors about the
// contents are terminal and name the entry.
func Open(path string) (*Layout, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("open OCI layout: %w", err)
	}
	l := &Layout{path: path}
	switch {
	case st.IsDir():
		err = l.openDirectory(path)
	case st.Mode().IsRegular():
		err = l.openArchive(path, st.Size())
	default:
		err = fault.Terminalf("it is neither a directory nor a file")
	}
	if err == nil {
		if err = l.marker(); err != nil {
			err = errors.Join(err, l.close())
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open OCI layout %s: %w", path, err)
	}
	return l, nil
}

// marker checks the file that says that this is a layout.
func (l *Layout) marker() error {
	text, err := l.small("oci-layout")
	if err != nil {
		return err
	}
	var marker struct {
		Version string `json:"imageLayoutVersion"`
	}
	if err := json.Unmarshal(text, &marker); err != nil {
		return fault.Terminalf("oci-layout: %w", err)
	}
	if marker.Version != "1.0.0" {
		return fault.Terminalf("oci-layout: imageLayoutVersion is %q, this program reads \"1.0.0\"", marker.Version)
	}
	return nil
}

// Path is where the layout was opened.
func (l *Layout) Path() string { return l.path }

// Kind is "directory" or "archive".
func (l *Layout) Kind() string { return l.kind }

// Close releases the layout.
func (l *Layout) Close() error { return l.close() }

// RawIndex returns index.json as it is now.
func (l *Layout) RawIndex() ([]byte, error) {
	text, err := l.small("index.json")
	if err != nil {
		return nil, fmt.Errorf("OCI layout %s: %w", l.path, err)
	}
	return text, nil
}

// Index returns the layout's own index, which names what is in it.
func (l *Layout) Index() (*v1.IndexManifest, error) {
	text, err := l.RawIndex()
	if err != nil {
		return nil, err
	}
	index, err := v1.ParseIndexManifest(bytes.NewReader(text))
	if err != nil {
		return nil, fault.Terminalf("OCI layout %s: index.json: %w", l.path, err)
	}
	return index, nil
}

// Digests returns the digests of all blobs there were when the layout was opened, sorted.
func (l *Layout) Digests() []string {
	all := make([]string, 0, len(l.blobs))
	for d := range l.blobs {
		all = append(all, d)
	}
	slices.Sort(all)
	return all
}

// Size returns the bytes of a blob, as they were when the layout was opened.
func (l *Layout) Size(digest string) (int64, bool) {
	n, ok := l.blobs[digest]
	return n, ok
}

// Strays are the names of what is in the layout and no part of one, sorted.
func (l *Layout) Strays() []string { return l.strays }

// Blob opens a blob; fs.ErrNotExist is the error for one that is not there.
func (l *Layout) Blob(digest string) (*Blob, error) {
	if !digestForm.MatchString(digest) {
		return nil, fault.Terminalf("%q is no sha256 digest", digest)
	}
	b, err := l.open(blobName(digest))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("blob %s is not there: OCI layout %s is incomplete, or the digest is of another image: %w", digest, l.path, fs.ErrNotExist)
	}
	return b, err
}

func blobName(digest string) string {
	return "blobs/sha256/" + strings.TrimPrefix(digest, "sha256:")
}

// small reads a file of the layout itself.
func (l *Layout) small(name string) ([]byte, error) {
	b, err := l.open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.Terminalf("it has no %s, so it is no OCI layout: %w", name, fs.ErrNotExist)
	}
	if err != nil {
		return nil, err
	}
	defer b.Close()
	if b.Size() > MaxManifest {
		return nil, fault.Terminalf("%s has %d bytes, more than the %d allowed", name, b.Size(), MaxManifest)
	}
	text := make([]byte, b.Size())
	if _, err := io.ReadFull(b, text); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return text, nil
}
