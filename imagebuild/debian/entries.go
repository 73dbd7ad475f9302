package debian

import (
	"archive/tar"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
)

// unpacker collects the entries of a data.tar.
type unpacker struct {
	limits  limits
	all     []Entry
	seen    map[string]int    // index by path
	parents map[string]string // a path beneath, by directory
	bytes   int64
}

func (u *unpacker) add(h *tar.Header, content io.Reader) error {
	if h.Typeflag == tar.TypeDir && path.Clean(h.Name) == "." {
		return nil
	}
	name, err := within(h.Name)
	if err != nil {
		return err
	}
	mode := h.FileInfo().Mode()
	e := Entry{Path: name, Mode: mode.Perm()}
	switch h.Typeflag {
	case tar.TypeDir:
		e.Mode |= fs.ModeDir | mode&fs.ModeSticky
	case tar.TypeReg:
		if err := u.count(h.Size); err != nil { // a sparse file is larger than what it takes in the stream
			return fmt.Errorf("%s: %w", name, err)
		}
		if e.Data, err = io.ReadAll(content); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	case tar.TypeSymlink:
		if e.Mode, e.Target = fs.ModeSymlink|0o777, h.Linkname; !leadsWithin(name, h.Linkname) {
			return fmt.Errorf("%s is a link to %.200q, which is not beneath the root", name, h.Linkname)
		}
	case tar.TypeLink:
		if err := u.link(&e, h.Linkname); err != nil {
			return err
		}
	default:
		return fmt.Errorf("%s has the type %q, neither a directory nor a file nor a link", name, h.Typeflag)
	}
	return u.place(e)
}

// count adds to the bytes of all files.
func (u *unpacker) count(size int64) error {
	if size > u.limits.bytes-u.bytes {
		return tooLarge{u.limits.bytes}
	}
	u.bytes += size
	return nil
}

// link makes an entry another name of a regular file that came before it.
func (u *unpacker) link(e *Entry, to string) error {
	target, err := within(to)
	if err != nil {
		return fmt.Errorf("%s is a hard link: %w", e.Path, err)
	}
	i, found := u.seen[target]
	if !found || !u.all[i].Mode.IsRegular() {
		return fmt.Errorf("%s is a hard link to %q, and no file of that name came before it", e.Path, target)
	}
	e.Mode, e.Data = u.all[i].Mode, u.all[i].Data
	if err := u.count(int64(len(e.Data))); err != nil { // what is made of the entries has it twice
		return fmt.Errorf("%s: %w", e.Path, err)
	}
	return nil
}

// place adds an entry where its path is free and its parents are directories.
func (u *unpacker) place(e Entry) error {
	if i, found := u.seen[e.Path]; found {
		if e.Mode.IsDir() && u.all[i].Mode.IsDir() { // bin/ and usr/bin/ are one
			return nil
		}
		return fmt.Errorf("%s is there twice", e.Path)
	}
	if beneath, found := u.parents[e.Path]; found && !e.Mode.IsDir() {
		return fmt.Errorf("%s is beneath %s, which is no directory", beneath, e.Path)
	}
	for dir := path.Dir(e.Path); dir != "."; dir = path.Dir(dir) {
		if _, found := u.parents[dir]; found {
			break // and so are those above
		}
		if i, found := u.seen[dir]; found && !u.all[i].Mode.IsDir() {
			return fmt.Errorf("%s is beneath %s, which is no directory", e.Path, dir)
		}
		u.parents[dir] = e.Path
	}
	if len(u.all)+len(u.parents) >= u.limits.entries {
		return fmt.Errorf("more than %d entries and directories", u.limits.entries)
	}
	u.seen[e.Path] = len(u.all)
	u.all = append(u.all, e)
	return nil
}

// maxPath is the longest path, in bytes, as in Linux.
const maxPath = 4096

// within returns the clean path of a name in a merged /usr, if it is relative and does not leave
// the root.
func within(name string) (string, error) {
	clean := path.Clean(name)
	if len(name) > maxPath || path.IsAbs(name) || !fs.ValidPath(clean) || clean == "." {
		return "", fmt.Errorf("the path %.200q is not beneath the root", name)
	}
	return Merge(clean), nil
}

// leadsWithin says whether a link at the path name stays beneath the root. An absolute target is one
// beneath the root of the image.
func leadsWithin(name, target string) bool {
	if target == "" || len(target) > maxPath || strings.ContainsRune(target, 0) {
		return false
	}
	at := path.Clean(strings.TrimLeft(target, "/"))
	if !path.IsAbs(target) {
		at = path.Join(path.Dir(name), target)
	}
	return at == "." || fs.ValidPath(at)
}
