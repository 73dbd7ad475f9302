package testimages

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// tree is the files of a layer by their path, relative and clean.
type tree map[string]node

// node is a directory, a symbolic link or a file; all belong to root.
type node struct {
	mode    int64
	target  string // of a symbolic link
	dir     bool
	content []byte
}

func directory(mode int64) node { return node{mode: mode, dir: true} }

func symlink(target string) node { return node{mode: 0o777, target: target} }

func text(s string) node { return node{mode: 0o644, content: []byte(s)} }

func executable(b []byte) node { return node{mode: 0o755, content: b} }

// maxTree bounds what one package unpacks to.
const maxTree = 512 << 20

// addTar adds the files of a package's tar. keep decides which; rename gives them their place.
func (t tree) addTar(r io.Reader, keep func(string) bool, rename func(string) string) error {
	tr := tar.NewReader(io.LimitReader(r, maxTree))
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name, err := cleanName(h.Name)
		if err != nil {
			return err
		}
		if name == "." || !keep(name) {
			continue
		}
		if err := t.addEntry(rename(name), h, tr, rename); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
}

func cleanName(name string) (string, error) {
	clean := path.Clean(strings.TrimPrefix(name, "./"))
	if path.IsAbs(name) || clean == ".." || strings.HasPrefix(clean, "../") {
		return "", fmt.Errorf("%.200q is outside of the tree", name)
	}
	return clean, nil
}

func (t tree) addEntry(name string, h *tar.Header, r io.Reader, rename func(string) string) error {
	switch h.Typeflag {
	case tar.TypeDir:
		if old, ok := t[name]; !ok || old.dir {
			t[name] = directory(h.Mode & 0o1777)
		}
	case tar.TypeSymlink:
		t[name] = symlink(h.Linkname)
	case tar.TypeLink:
		to, err := cleanName(h.Linkname)
		if err != nil {
			return err
		}
		old, ok := t[rename(to)]
		if !ok {
			return fmt.Errorf("a hard link to %s, which is not there", to)
		}
		t[name] = old
	case tar.TypeReg:
		b, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		t[name] = node{mode: h.Mode & 0o755, content: b}
	default:
		return fmt.Errorf("type %q has no place in an image", h.Typeflag)
	}
	return nil
}

// bytes returns the tree's tar: sorted, parents first, at the epoch.
func (t tree) bytes() ([]byte, error) {
	all := maps.Clone(t)
	for name := range t {
		for d := path.Dir(name); d != "."; d = path.Dir(d) {
			if n, ok := all[d]; !ok {
				all[d] = directory(0o755)
			} else if !n.dir {
				return nil, fmt.Errorf("%s is beneath %s, which is no directory", name, d)
			}
		}
	}
	var out bytes.Buffer
	tw := tar.NewWriter(&out)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if err := all[name].write(tw, name); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return out.Bytes(), tw.Close()
}

func (n node) write(tw *tar.Writer, name string) error {
	h := &tar.Header{Name: name, Mode: n.mode, ModTime: time.Unix(0, 0).UTC()}
	switch {
	case n.dir:
		h.Typeflag, h.Name = tar.TypeDir, name+"/"
	case n.target != "":
		h.Typeflag, h.Linkname = tar.TypeSymlink, n.target
	default:
		h.Typeflag, h.Size = tar.TypeReg, int64(len(n.content))
	}
	if err := tw.WriteHeader(h); err != nil {
		return err
	}
	_, err := tw.Write(n.content)
	return err
}
