package transport

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"golang.org/x/sys/unix"

	ocilayout "slipway.build/slipway/imagebuild/layout"
)

// Output is what is written: an image with what belongs to it.
type Output struct {
	Image v1.Image
	// Base is the image that Image's lower layers come from, so that they are linked rather than
	// copied where they can be. It may be nil.
	Base *Image
	// Name is that of the image in a layout's index, "repository:tag". May be empty.
	Name string
	// Attach, when set, adds signatures and the like once the image is complete, and before it can be
	// seen: in the directory of the layout, or, with dir empty, in the registry.
	Attach func(ctx context.Context, dir string) error
	// Files lie beside the image in a layout's directory, by name; those late in the alphabet are
	// replaced first. Registries have none.
	Files map[string][]byte
}

// Write puts an output where the reference leads. In a layout everything has been synced to the disk when the
// image is named; a directory that is not there appears in one step.
func Write(ctx context.Context, to Reference, out Output, opts Options) error {
	var err error
	switch to.Kind {
	case Registry:
		err = push(ctx, to, out, opts)
	case Layout:
		err = writeLayout(ctx, to.Path, out)
	default:
		err = errors.New("an image can be written to a layout or a registry")
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", to, err)
	}
	return nil
}

// push streams what the registry does not have; blobs of another repository of its are mounted. The tag comes last.
func push(ctx context.Context, to Reference, out Output, opts Options) error {
	digest, err := out.Image.Digest()
	if err != nil {
		return err
	}
	repository := to.Remote.Context()
	if err := remote.Write(repository.Digest(digest.String()), out.Image, opts.Remote(ctx)...); err != nil {
		return err
	}
	if out.Attach != nil {
		if err := out.Attach(ctx, ""); err != nil {
			return err
		}
	}
	if to.Digest != (v1.Hash{}) {
		return nil
	}
	return remote.Tag(repository.Tag(to.Remote.Identifier()), out.Image, opts.Remote(ctx)...)
}

// writeLayout adds to a layout, or makes one beside its name and renames it.
func writeLayout(ctx context.Context, dir string, out Output) error {
	dir = filepath.Clean(dir)
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	half := filepath.Join(parent, "."+filepath.Base(dir)+".half")
	unlock, err := claim(half + ".lock")
	if err != nil {
		return err
	}
	defer unlock()
	if err := os.RemoveAll(half); err != nil { // of a writer that was killed
		return err
	}
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case len(entries) == 0:
		if err := os.Remove(dir); err != nil {
			return err
		}
	default:
		return extend(ctx, dir, half, out)
	}
	err = fill(ctx, half, out)
	if err == nil {
		err = sync(half)
	}
	if err == nil {
		err = os.Rename(half, dir)
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(half))
	}
	return sync(parent)
}

// fill makes a whole layout in a directory of its own.
func fill(ctx context.Context, dir string, out Output) error {
	index := newIndex()
	if err := content(ctx, dir, out, index); err != nil {
		return err
	}
	if err := write(filepath.Join(dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`)); err != nil {
		return err
	}
	if err := index.write(dir); err != nil || out.Attach == nil {
		return err
	}
	return out.Attach(ctx, dir)
}

// extend fills a layout of its own beside the one that is there, moves what is new over, and replaces the index
// last: whenever it is killed, the layout names complete images only.
func extend(ctx context.Context, dir, half string, out Output) error {
	there, err := ocilayout.Open(dir)
	if err != nil {
		return fmt.Errorf("the directory is not empty: %w", err)
	}
	defer there.Close()
	index, err := readIndex(there)
	if err != nil {
		return err
	}
	err = content(ctx, half, out, index)
	if err == nil {
		err = sync(half)
	}
	if err == nil {
		err = move(half, dir)
	}
	if err == nil && out.Attach != nil {
		err = out.Attach(ctx, dir)
		if err == nil {
			index, err = readIndex(there) // which has the signatures by now
		}
		if err == nil {
			err = index.add(out.Image, out.Name)
		}
	}
	if err == nil {
		err = index.write(dir)
	}
	return errors.Join(err, os.RemoveAll(half), sync(dir))
}

func content(ctx context.Context, dir string, out Output, index *index) error {
	if err := os.MkdirAll(filepath.Join(dir, "blobs", "sha256"), 0o755); err != nil {
		return err
	}
	if err := writeImage(ctx, dir, out.Image, out.Base); err != nil {
		return err
	}
	if err := index.add(out.Image, out.Name); err != nil {
		return err
	}
	for name, data := range out.Files {
		if err := write(filepath.Join(dir, name), data); err != nil {
			return err
		}
	}
	return nil
}

// move renames the files of one layout into another one, blobs first.
func move(from, to string) error {
	var files []string
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(from, path)
		files = append(files, name)
		return err
	})
	slices.Reverse(files)
	if err != nil {
		return err
	}
	for _, blobs := range []bool{true, false} {
		for _, name := range files {
			if strings.HasPrefix(name, "blobs") != blobs {
				continue
			}
			if err := os.MkdirAll(filepath.Dir(filepath.Join(to, name)), 0o755); err != nil {
				return err
			}
			if err := os.Rename(filepath.Join(from, name), filepath.Join(to, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// claim keeps two writers from one layout. The kernel lets go when the holder dies.
func claim(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, errors.New("another process is writing it; wait for it to end")
	}
	return func() { os.Remove(path); f.Close() }, nil
}

// sync makes everything below a directory durable, whose file system is synced.
func sync(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return unix.Syncfs(int(d.Fd()))
}
