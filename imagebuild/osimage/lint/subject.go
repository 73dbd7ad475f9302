package lint

import (
	"path"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Subject is what is linted.
type Subject struct {
	// Layers are those that are ours, the lowest first: the last one of an image, or all on top of a
	// given base.
	Layers []Layer
	// Base is the merged tree of the base's layers; nil when it was not given.
	Base *Tree
	// Image is nil for a layer by itself.
	Image *Image
	// UserData is the Ignition configuration that nodes get, as it is; nil when it was not given.
	UserData []byte
	// Kargs are the kernel arguments for live media, and KargsArea the bytes of the area for them.
	Kargs     string
	KargsArea int
	// Directory says that the subject is a directory of this machine: times and owners are not yet those of a layer.
	Directory bool
}

// Image is what is known of an image beside its files.
type Image struct {
	Manifest     *v1.Manifest
	Config       *v1.ConfigFile
	Signatures   bool // the ones below were looked for
	SimpleSigned bool // a signature in the legacy form is beside it
	Bundle       bool // a sigstore bundle is its referrer
}

// Layer is one layer's files.
type Layer struct {
	Number  int // in the image, from 1; 0 for a layer by itself
	Entries []Entry
}

// Entry is one member of a layer.
type Entry struct {
	Name    string // as it is in the tar
	Path    string // clean, without a slash in front
	Type    byte   // as in archive/tar
	Mode    int64
	UID     int
	GID     int
	ModTime time.Time
	Link    string
	Size    int64
	Xattrs  []string // names
	Head    []byte   // the first bytes of a file
	Data    []byte   // of a file that rules read; nil for others
}

// File says whether it has contents: a regular file or a hard link to one.
func (e Entry) File() bool { return e.Type == '0' || e.Type == '1' || e.Type == 0 }

// Dir says whether it is a directory.
func (e Entry) Dir() bool { return e.Type == '5' }

// Below says whether the entry is a directory of that path or something in it.
func (e Entry) Below(dir string) bool { return e.Path == dir || strings.HasPrefix(e.Path, dir+"/") }

// Whiteout prefixes of the OCI image specification: a file that deletes one, and a file that hides all.
const (
	whiteout = ".wh."
	opaque   = ".wh..wh..opq"
)

// Whiteout returns the path that the entry deletes; all says that it is what is in a directory.
func (e Entry) Whiteout() (deleted string, all, yes bool) {
	dir, name := path.Split(e.Path)
	switch {
	case name == opaque:
		return strings.TrimSuffix(dir, "/"), true, true
	case strings.HasPrefix(name, whiteout):
		return dir + strings.TrimPrefix(name, whiteout), false, true
	}
	return "", false, false
}

// Tree is what several layers make together.
type Tree struct{ files map[string]Entry }

// NewTree is an empty one.
func NewTree() *Tree { return &Tree{files: map[string]Entry{}} }

// Apply puts a layer on top.
func (t *Tree) Apply(l Layer) {
	for _, e := range l.Entries { // deletions are of lower layers only
		if deleted, all, yes := e.Whiteout(); yes {
			t.remove(deleted, all)
		}
	}
	for _, e := range l.Entries {
		if _, _, yes := e.Whiteout(); yes {
			continue
		}
		if before, there := t.files[e.Path]; there && before.Dir() && !e.Dir() {
			t.remove(e.Path, true)
		}
		t.files[e.Path] = e
	}
}

func (t *Tree) remove(name string, childrenOnly bool) {
	for p := range t.files {
		if p == name && !childrenOnly || strings.HasPrefix(p, name+"/") || name == "" {
			delete(t.files, p)
		}
	}
}

// Lookup returns what is at a path.
func (t *Tree) Lookup(name string) (Entry, bool) {
	e, there := t.files[name]
	return e, there
}

// merged is the tree of the base and our layers.
func (s *Subject) merged() *Tree {
	t := NewTree()
	if s.Base != nil {
		for p, e := range s.Base.files {
			t.files[p] = e
		}
	}
	for _, l := range s.Layers {
		t.Apply(l)
	}
	return t
}
