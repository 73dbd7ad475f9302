package registry

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	ocilayout "slipway.build/slipway/imagebuild/layout"
)

// files is where a layout's files are.
type files interface {
	index() (*v1.IndexManifest, error)
	open(digest string) (io.ReadSeekCloser, error)
}

// directory is a layout that may be written, or be missing, while it is served.
type directory string

func (d directory) index() (*v1.IndexManifest, error) {
	f, err := os.Open(filepath.Join(string(d), "index.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return &v1.IndexManifest{}, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return v1.ParseIndexManifest(f)
}

func (d directory) open(digest string) (io.ReadSeekCloser, error) {
	// As an interface, a nil file would be no nil.
	f, err := os.Open(filepath.Join(string(d), "blobs", "sha256", strings.TrimPrefix(digest, "sha256:")))
	if err != nil {
		return nil, err
	}
	return f, nil
}

// archive is a layout in a tar file.
type archive struct{ *ocilayout.Layout }

// index gives what is attached to images the names by which registries know it.
func (a archive) index() (*v1.IndexManifest, error) {
	index, err := a.Index()
	if err != nil {
		return nil, err
	}
	for i := range index.Manifests {
		d := &index.Manifests[i]
		if name := d.Annotations[ocilayout.AttachedName]; name != "" && d.Annotations[ocilayout.RefName] == "" {
			d.Annotations[ocilayout.RefName] = name
		}
	}
	return index, nil
}

func (a archive) open(digest string) (io.ReadSeekCloser, error) {
	b, err := a.Blob(digest)
	if err != nil {
		return nil, err
	}
	return b, nil
}
