package layout

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"slipway.build/slipway/agent/fault"
)

// directory is the kind of a layout that is one.
const directory = "directory"

// openDirectory opens a layout in a directory. Names are looked up beneath it: a symbolic
// link counts as a stray, wherever it leads.
func (l *Layout) openDirectory(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	l.kind, l.close = directory, root.Close
	l.open = func(name string) (*Blob, error) { return openFile(root, name) }
	l.blobs = map[string]int64{}
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		switch {
		case name == "." || name == "blobs" || name == "blobs/sha256":
			if !d.IsDir() {
				return fault.Terminalf("%s is no directory", name)
			}
		case d.IsDir():
			l.strays = append(l.strays, name+"/")
			return fs.SkipDir
		case !d.Type().IsRegular():
			l.strays = append(l.strays, name)
		case path.Dir(name) == "blobs/sha256" && digestForm.MatchString("sha256:"+path.Base(name)):
			st, err := d.Info()
			if errors.Is(err, fs.ErrNotExist) {
				return nil // removed meanwhile
			}
			if err != nil {
				return err
			}
			l.blobs["sha256:"+path.Base(name)] = st.Size()
		case name != "oci-layout" && name != "index.json":
			l.strays = append(l.strays, name)
		}
		return nil
	})
	if err != nil {
		return errors.Join(err, root.Close())
	}
	slices.Sort(l.strays)
	return nil
}

func openFile(root *os.Root, name string) (*Blob, error) {
	st, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, fault.Terminalf("%s is no regular file", name)
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	opened, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if !os.SameFile(st, opened) {
		return nil, errors.Join(fault.Retriablef("%s was replaced while it was opened", name), f.Close())
	}
	return &Blob{SectionReader: io.NewSectionReader(f, 0, opened.Size()), close: f.Close}, nil
}

// File returns the path of a blob that was a file in a directory when the layout was opened. It is for
// giving the file a second name: what it holds by then is not known.
func (l *Layout) File(digest string) (string, bool) {
	if _, there := l.blobs[digest]; !there || l.kind != directory {
		return "", false
	}
	return filepath.Join(l.path, filepath.FromSlash(blobName(digest))), true
}
