package lint

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"slipway.build/slipway/imagebuild/osimage/transport"
)

// FromDirectory is a tree of files that is to become a layer.
func FromDirectory(dir string) (*Subject, error) {
	var l Layer
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, file)
		if err != nil || name == "." {
			return err
		}
		if len(l.Entries) == maxEntries {
			return fmt.Errorf("more than %d entries", maxEntries)
		}
		e, err := fromDisk(file, name)
		l.Entries = append(l.Entries, e)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("lint %s: %w", dir, err)
	}
	return &Subject{Layers: []Layer{l}, Directory: true}, nil
}

func fromDisk(file, name string) (Entry, error) {
	st, err := os.Lstat(file)
	if err != nil {
		return Entry{}, err
	}
	sys := st.Sys().(*syscall.Stat_t)
	e := Entry{Name: name, Path: clean(name), Mode: int64(sys.Mode & 0o7777), UID: int(sys.Uid), GID: int(sys.Gid), ModTime: st.ModTime(), Size: st.Size()}
	switch m := st.Mode(); {
	case m.IsDir():
		e.Type, e.Size = '5', 0
	case m.IsRegular():
		f, err := os.Open(file)
		if err != nil {
			return e, err
		}
		defer f.Close()
		e.Type = '0'
		return e, e.look(f)
	case m&fs.ModeSymlink != 0:
		e.Type, e.Size = '2', 0
		e.Link, err = os.Readlink(file)
	case m&fs.ModeNamedPipe != 0:
		e.Type = '6'
	default:
		e.Type = '3'
	}
	return e, err
}

// FromTar is a layer by itself, compressed or not.
func FromTar(r io.Reader) (*Subject, error) {
	plain, err := decompress(r)
	if err != nil {
		return nil, err
	}
	defer plain.Close()
	l, err := ReadTar(plain, 0)
	return &Subject{Layers: []Layer{l}}, err
}

func decompress(r io.Reader) (io.ReadCloser, error) {
	head := make([]byte, 4)
	n, err := io.ReadFull(r, head)
	if err != nil {
		return nil, fmt.Errorf("it is no tar: %w", err)
	}
	whole := io.MultiReader(strings.NewReader(string(head[:n])), r)
	switch {
	case string(head[:2]) == "\x1f\x8b":
		return gzip.NewReader(whole)
	case string(head) == "\x28\xb5\x2f\xfd":
		d, err := zstd.NewReader(whole, zstd.WithDecoderMaxMemory(256<<20))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	}
	return io.NopCloser(whole), nil
}

// FromImage reads the layers of an image that are ours: those on top of base, if that is given; else those
// behind an encapsulated commit; else the last one. With a base, its layers are read, too, whatever time that takes.
func FromImage(ctx context.Context, image, base *transport.Image) (*Subject, error) {
	s := &Subject{}
	var err error
	if s.Image, err = about(image); err != nil {
		return nil, err
	}
	if err := s.Image.look(ctx, image); err != nil {
		return nil, err
	}
	first := max(len(s.Image.Manifest.Layers)-1, 0)
	for n, id := range s.Image.Config.RootFS.DiffIDs {
		if id.String() == s.Image.Config.Config.Labels[finalDiffID] && n < first {
			first = n + 1
		}
	}
	if base != nil {
		b, err := about(base)
		if err != nil {
			return nil, err
		}
		if first, err = common(b, s.Image); err != nil {
			return nil, err
		}
		s.Base = NewTree()
		if err := layers(ctx, base, 0, first, func(l Layer) { s.Base.Apply(l) }); err != nil {
			return nil, fmt.Errorf("base: %w", err)
		}
	}
	return s, layers(ctx, image, first, len(s.Image.Manifest.Layers), func(l Layer) { s.Layers = append(s.Layers, l) })
}

func about(image *transport.Image) (*Image, error) {
	m, err := image.Manifest()
	if err != nil {
		return nil, err
	}
	c, err := image.ConfigFile()
	return &Image{Manifest: m, Config: c}, err
}

// common is the number of the base's layers, which the image has to begin with.
func common(base, image *Image) (int, error) {
	ours := image.Config.RootFS.DiffIDs
	for n, id := range base.Config.RootFS.DiffIDs {
		if n >= len(ours) || ours[n] != id {
			return 0, fmt.Errorf("the image is not derived from that base: layer %d is another one", n+1)
		}
	}
	return len(base.Config.RootFS.DiffIDs), nil
}

func layers(ctx context.Context, image *transport.Image, from, to int, take func(Layer)) error {
	all, err := image.Layers()
	if err != nil {
		return err
	}
	for n := from; n < to && n < len(all); n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		l, err := readLayer(all[n], n+1)
		if err != nil {
			return err
		}
		take(l)
	}
	return nil
}

func readLayer(l v1.Layer, number int) (Layer, error) {
	r, err := l.Uncompressed()
	if err != nil {
		return Layer{}, fmt.Errorf("layer %d: %w", number, err)
	}
	defer r.Close()
	return ReadTar(r, number)
}
