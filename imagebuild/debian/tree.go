package debian

import (
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
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
	files   map[string]File
	from    map[string]string // package by path
	parents map[string]string // a path beneath, by directory
}

// NewTree returns an empty tree.
func NewTree() *Tree {
	return &Tree{files: map[string]File{}, from: map[string]string{}, parents: map[string]string{}}
}

// Merged returns the directories of the root that are links into usr/ in a merged system.
func Merged() []string { return []string{"bin", "lib", "lib64", "sbin"} }

// Merge moves a path of an unmerged system beneath usr/.
func Merge(name string) string {
	top, _, _ := strings.Cut(name, "/")
	if slices.Contains(Merged(), top) {
		return "usr/" + name
	}
	return name
}

// Add unpacks a package (a .deb file) into the tree: all of it, or nothing where it is an error.
// Read says what is refused; a file beneath what another package has as a file or link is, too.
// name is for errors and From.
func (t *Tree) Add(name string, deb io.Reader) error {
	all, err := Read(deb)
	if err == nil {
		err = t.fits(all)
	}
	if err != nil {
		return fmt.Errorf("unpack the Debian package %s: %w", name, err)
	}
	for _, e := range all {
		if e.Mode.IsDir() {
			continue
		}
		t.files[e.Path], t.from[e.Path] = File{Executable: e.Mode.IsRegular() && e.Mode&0o111 != 0, Target: e.Target, Data: e.Data}, name
		for dir := path.Dir(e.Path); dir != "."; dir = path.Dir(dir) {
			t.parents[dir] = e.Path
		}
	}
	return nil
}

// fits says whether the files of a package can be beside those that are there.
func (t *Tree) fits(all []Entry) error {
	for _, e := range all {
		if e.Mode.IsDir() {
			continue
		}
		if beneath, found := t.parents[e.Path]; found {
			return fmt.Errorf("%s is no directory, and the package %s has %s", e.Path, t.from[beneath], beneath)
		}
		for dir := path.Dir(e.Path); dir != "."; dir = path.Dir(dir) {
			if _, found := t.files[dir]; found {
				return fmt.Errorf("%s is beneath %s, which is no directory in the package %s", e.Path, dir, t.from[dir])
			}
		}
	}
	return nil
}

// From names the package that a path came from.
func (t *Tree) From(name string) string { return t.from[name] }

// maxLinks is how many symbolic links lead to a file at most, as in Linux.
const maxLinks = 40

// Resolve follows symbolic links and returns the path of the regular file they lead to.
func (t *Tree) Resolve(name string) (string, File, error) {
	at := Merge(name)
	for range maxLinks {
		f, found := t.files[at]
		switch {
		case !found:
			return "", f, fmt.Errorf("%s: no package has %s", name, at)
		case f.Target == "":
			return at, f, nil
		case path.IsAbs(f.Target):
			at = Merge(strings.TrimPrefix(path.Clean(f.Target), "/"))
		default:
			at = Merge(path.Join(path.Dir(at), f.Target))
		}
	}
	return "", File{}, fmt.Errorf("%s: too many symbolic links", name)
}

// Match returns the paths that match a pattern of path.Match, sorted.
func (t *Tree) Match(pattern string) ([]string, error) {
	if _, err := path.Match(pattern, ""); err != nil {
		return nil, fmt.Errorf("pattern %q: %w", pattern, err)
	}
	var all []string
	for name := range t.files {
		if ok, _ := path.Match(pattern, name); ok {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all, nil
}
