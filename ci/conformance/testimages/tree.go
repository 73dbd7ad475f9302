package testimages

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"time"

	"slipway.build/slipway/imagebuild/debian"
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

// add adds the entries of a package. keep decides which, by their path in a merged /usr.
func (t tree) add(all []debian.Entry, keep func(string) bool) {
	for _, e := range all {
		if !keep(e.Path) {
			continue
		}
		switch {
		case e.Mode.IsDir():
			if old, ok := t[e.Path]; !ok || old.dir {
				t[e.Path] = directory(mode(e.Mode))
			}
		case e.Target != "":
			t[e.Path] = symlink(e.Target)
		default:
			t[e.Path] = node{mode: mode(e.Mode) & 0o755, content: e.Data}
		}
	}
}

// mode is the number of permissions in a tar.
func mode(m fs.FileMode) int64 {
	n := int64(m.Perm())
	if m&fs.ModeSticky != 0 {
		n |= 0o1000
	}
	return n
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
