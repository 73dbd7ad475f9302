package debian

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// Limits of one package; the largest that is used, glibc's, unpacks to 13 MB.
const (
	maxUnpacked = 256 << 20
	maxFiles    = 50_000
)

// File is a regular file of a package, or a symbolic link with a Target.
type File struct {
	Executable bool
	Target     string
	Data       []byte
}

// Tree is the files of one or several packages by path, such as "usr/sbin/bird". Paths are those
// of a merged /usr: what a package has in /bin, /sbin or /lib is in usr/ here.
type Tree struct {
	files map[string]File
	from  map[string]string // package by path
}

// NewTree returns an empty tree.
func NewTree() *Tree { return &Tree{files: map[string]File{}, from: map[string]string{}} }

// Merged returns the directories of the root that are links into usr/ in a merged system.
func Merged() []string { return []string{"bin", "lib", "lib64", "sbin"} }

// Add unpacks a package (a .deb file) into the tree. name is for errors and From.
func (t *Tree) Add(name string, deb io.Reader) error {
	err := member(deb, "data.tar", func(member string, r io.Reader) error {
		plain, err := decompress(member, r)
		if err != nil {
			return err
		}
		return t.unpack(name, io.LimitReader(plain, maxUnpacked))
	})
	if err != nil {
		return fmt.Errorf("unpack the Debian package %s: %w", name, err)
	}
	return nil
}

func decompress(member string, r io.Reader) (io.Reader, error) {
	switch path.Ext(member) {
	case ".xz":
		return xz.NewReader(r)
	case ".gz":
		return gzip.NewReader(r)
	case ".zst":
		return zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxUnpacked))
	case ".tar":
		return r, nil
	}
	return nil, fmt.Errorf("member %s has a compression that is not known", member)
}

func (t *Tree) unpack(from string, r io.Reader) error {
	tr := tar.NewReader(r)
	for n := 0; ; n++ {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read data.tar: %w", err)
		}
		if n > maxFiles {
			return fmt.Errorf("more than %d files", maxFiles)
		}
		name := path.Clean(strings.TrimPrefix(h.Name, "/"))
		if h.Typeflag == tar.TypeDir {
			continue
		}
		if !fs.ValidPath(name) || name == "." {
			return fmt.Errorf("path %q is not beneath the root", h.Name)
		}
		f := File{Executable: h.Mode&0o111 != 0}
		switch h.Typeflag {
		case tar.TypeReg:
			if h.Size > maxUnpacked {
				return fmt.Errorf("%s has %d bytes", name, h.Size)
			}
			if f.Data, err = io.ReadAll(tr); err != nil {
				return fmt.Errorf("read %s: %w", name, err)
			}
		case tar.TypeSymlink:
			f.Target = h.Linkname
		case tar.TypeLink:
			linked, found := t.files[merge(path.Clean(strings.TrimPrefix(h.Linkname, "/")))]
			if !found {
				return fmt.Errorf("%s is a hard link to %q, which did not come before it", name, h.Linkname)
			}
			f = linked
		default:
			continue // devices and the like: nothing that we take
		}
		name = merge(name)
		t.files[name], t.from[name] = f, from
	}
}

// merge moves a path of an unmerged system beneath usr/.
func merge(name string) string {
	top, _, _ := strings.Cut(name, "/")
	if slices.Contains(Merged(), top) {
		return "usr/" + name
	}
	return name
}

// From names the package that a path came from.
func (t *Tree) From(name string) string { return t.from[name] }

// maxLinks is how many symbolic links lead to a file at most, as in Linux.
const maxLinks = 40

// Resolve follows symbolic links and returns the path of the regular file they lead to.
func (t *Tree) Resolve(name string) (string, File, error) {
	at := merge(name)
	for range maxLinks {
		f, found := t.files[at]
		switch {
		case !found:
			return "", f, fmt.Errorf("%s: no package has %s", name, at)
		case f.Target == "":
			return at, f, nil
		case path.IsAbs(f.Target):
			at = merge(path.Clean(f.Target[1:]))
		default:
			at = merge(path.Join(path.Dir(at), f.Target))
		}
	}
	return "", File{}, fmt.Errorf("%s: too many symbolic links", name)
}

// Match returns the paths that match a pattern of path.Match, sorted.
func (t *Tree) Match(pattern string) ([]string, error) {
	var all []string
	for name := range t.files {
		ok, err := path.Match(pattern, name)
		if err != nil {
			return nil, fmt.Errorf("pattern %q: %w", pattern, err)
		}
		if ok {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all, nil
}
