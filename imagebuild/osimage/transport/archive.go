package transport

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// archive is the tar of an OCI layout. Where its members are is found in one pass over the headers; what
// they hold is read when it is asked for.
type archive struct {
	path    string
	members map[string]member
}

type member struct{ offset, size int64 }

// maxMembers bounds a tar of nothing but headers.
const maxMembers = 100_000

func newArchive(file string) (*archive, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	a := &archive{path: file, members: map[string]member{}}
	if err := a.scan(f); err != nil {
		return nil, err
	}
	version, err := a.small("oci-layout")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("it is no OCI archive: there is no oci-layout in it")
	}
	if err != nil {
		return nil, err
	}
	return a, checkVersion(version)
}

func (a *archive) scan(f io.ReadSeeker) error {
	tr := tar.NewReader(f)
	for {
		h, err := tr.Next()
		if err == io.EOF {
			return nil
		}
		if errors.Is(err, tar.ErrHeader) && len(a.members) == 0 {
			return errors.New("it is no tar: a compressed archive has to be decompressed first, for blobs are read where they lie")
		}
		if err != nil {
			return fmt.Errorf("after %d members: %w", len(a.members), err)
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		at, err := f.Seek(0, io.SeekCurrent)
		if err != nil {
			return err
		}
		if len(a.members) == maxMembers {
			return fmt.Errorf("it has more than %d members", maxMembers)
		}
		a.members[path.Clean(h.Name)] = member{at, h.Size}
	}
}

func (a *archive) reader(name string) (io.ReadCloser, int64, error) {
	m, there := a.members[name]
	if !there {
		return nil, 0, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	f, err := os.Open(a.path)
	if err != nil {
		return nil, 0, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(f, m.offset, m.size), f}, m.size, nil
}

func (a *archive) open(digest v1.Hash) (io.ReadCloser, int64, error) {
	return a.reader(path.Join("blobs", digest.Algorithm, digest.Hex))
}

func (a *archive) index() ([]byte, error) { return a.small("index.json") }

func (a *archive) small(name string) ([]byte, error) {
	r, _, err := a.reader(name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := readBounded(r)
	return bytes.Clone(data), err
}
