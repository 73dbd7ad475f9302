package disk

import (
	"crypto/sha256"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"slipway.build/slipway/test/faults/tracer"
)

// inode is a directory, a file or a symbolic link, whatever its names are.
type inode struct {
	mode   fs.FileMode
	target string // of a symbolic link

	data   []byte // as programs see it
	synced []byte // as it is on the disk for sure; replaced, never changed
	writes []write
	digest *[sha256.Size]byte // of synced, once somebody asked

	names   map[string]*inode // as programs see them
	durable map[string]*inode
	changes []change
}

// write is one change of a file's bytes that was not synced yet; data is nil for a change of the
// length to at.
type write struct {
	at   int64
	data []byte
}

// change is one change of a directory's names that was not synced yet. A rename is one change.
type change struct {
	set     string
	to      *inode
	removed string
}

// Disk is a tree below a base directory, as the traced program names it.
type Disk struct {
	base string
	root *inode
}

// Load reads a tree that is on the disk whole. base is what the traced program calls it.
func Load(dir, base string) (*Disk, error) {
	known := map[uint64]*inode{}
	root, err := load(dir, known)
	return &Disk{base: base, root: root}, err
}

func load(name string, known map[uint64]*inode) (*inode, error) {
	info, err := os.Lstat(name)
	if err != nil {
		return nil, err
	}
	number := info.Sys().(*syscall.Stat_t).Ino
	if n := known[number]; n != nil {
		return n, nil
	}
	n := &inode{mode: info.Mode()}
	known[number] = n
	switch {
	case info.IsDir():
		n.names = map[string]*inode{}
		entries, err := os.ReadDir(name)
		if err != nil {
			return nil, err
		}
		for _, entry := range entries {
			if n.names[entry.Name()], err = load(filepath.Join(name, entry.Name()), known); err != nil {
				return nil, err
			}
		}
		n.durable = maps.Clone(n.names)
	case info.Mode()&fs.ModeSymlink != 0:
		n.target, err = os.Readlink(name)
	default:
		n.data, err = os.ReadFile(name)
		n.synced = slices.Clone(n.data)
	}
	return n, err
}

// find returns the inode that a path names, nil when there is none.
func (d *Disk) find(name string) *inode {
	rest, ok := strings.CutPrefix(name, d.base)
	if !ok {
		return nil
	}
	n := d.root
	for _, part := range strings.Split(strings.Trim(rest, "/"), "/") {
		if part == "" {
			continue
		}
		for tries := 0; n != nil && n.target != "" && tries < 8; tries++ {
			// The only links that programs go through here are relative to the base.
			n = d.find(path.Join(d.base, n.target))
		}
		if n == nil || n.names == nil {
			return nil
		}
		n = n.names[part]
	}
	return n
}

func (d *Disk) parent(name string) (*inode, string) {
	return d.find(path.Dir(name)), path.Base(name)
}

func (n *inode) set(name string, to *inode, removed string) {
	if removed != "" {
		delete(n.names, removed)
	}
	if to != nil {
		n.names[name] = to
	} else {
		name = ""
	}
	n.changes = append(n.changes, change{set: name, to: to, removed: removed})
}

// Apply takes a call that succeeds if it can.
func (d *Disk) Apply(c *tracer.Call) {
	n := d.find(c.Path)
	switch c.Name {
	case "open":
		d.open(c, n)
	case "write":
		if n != nil {
			n.write(c.Offset, c.Data)
		}
	case "truncate":
		if n != nil {
			n.resize(c.Offset)
		}
	case "fallocate":
		if n != nil && c.Flags == 0 && c.Offset+c.Length > int64(len(n.data)) {
			n.resize(c.Offset + c.Length)
		}
	case "sync":
		if n != nil {
			n.sync()
		}
	case "chmod":
		if n != nil {
			n.mode = n.mode&^fs.ModePerm | fs.FileMode(c.Mode)&fs.ModePerm
		}
	default:
		d.rename(c, n)
	}
}

func (d *Disk) open(c *tracer.Call, n *inode) {
	dir, name := d.parent(c.Path)
	switch {
	case n == nil && c.Flags&unix.O_CREAT != 0 && dir != nil && dir.names != nil:
		dir.set(name, &inode{mode: fs.FileMode(c.Mode) & fs.ModePerm}, "")
	case n != nil && c.Flags&unix.O_TRUNC != 0 && c.Flags&unix.O_EXCL == 0:
		n.resize(0)
	}
}

// rename takes the calls that change names.
func (d *Disk) rename(c *tracer.Call, n *inode) {
	dir, name := d.parent(c.Path)
	if dir == nil || dir.names == nil {
		return
	}
	switch c.Name {
	case "mkdir":
		if n == nil {
			dir.set(name, &inode{mode: fs.ModeDir | fs.FileMode(c.Mode)&fs.ModePerm, names: map[string]*inode{}, durable: map[string]*inode{}}, "")
		}
	case "symlink":
		if n == nil {
			dir.set(name, &inode{mode: fs.ModeSymlink, target: c.Target}, "")
		}
	case "link":
		if from := d.find(c.From); from != nil && n == nil {
			dir.set(name, from, "")
		}
	case "unlink":
		if here := dir.names[name]; here != nil && here.names == nil {
			dir.set("", nil, name)
		}
	case "rmdir":
		if here := dir.names[name]; here != nil && here.names != nil && len(here.names) == 0 {
			dir.set("", nil, name)
		}
	case "rename":
		d.move(c, dir, name)
	}
}

func (d *Disk) move(c *tracer.Call, dir *inode, name string) {
	from, old := d.parent(c.From)
	if from == nil || from.names[old] == nil {
		return
	}
	moved := from.names[old]
	if from == dir {
		dir.set(name, moved, old)
		return
	}
	dir.set(name, moved, "")
	from.set("", nil, old)
}

func (n *inode) write(at int64, data []byte) {
	n.writes = append(n.writes, write{at, data})
	n.data = written(n.data, at, data)
}

func (n *inode) resize(length int64) {
	n.writes = append(n.writes, write{at: length})
	n.data = resized(n.data, length)
}

func written(to []byte, at int64, data []byte) []byte {
	if need := at + int64(len(data)); need > int64(len(to)) {
		to = resized(to, need)
	}
	copy(to[at:], data)
	return to
}

func resized(to []byte, length int64) []byte {
	if length <= int64(len(to)) {
		return to[:length:length]
	}
	return append(to[:len(to):len(to)], make([]byte, length-int64(len(to)))...)
}

func (n *inode) sync() {
	if n.names != nil {
		n.durable, n.changes = maps.Clone(n.names), nil
		return
	}
	if len(n.writes) > 0 {
		n.synced, n.writes, n.digest = slices.Clone(n.data), nil, nil
	}
}
