package disk

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
)

// Policy says what becomes of what was not synced.
type Policy struct {
	Name string
	// Names returns how many of a directory's changes are kept, the first ones of n.
	Names func(n int) int
	// Bytes decides whether a write is kept, and how much of it.
	Bytes func(length int) int
}

func none(int) int  { return 0 }
func all(n int) int { return n }

// Policies are the extremes, and as many random ones as told.
func Policies(random int) []Policy {
	out := []Policy{
		{"power loss: nothing unsynced is kept", none, none},
		{"power loss: names are kept, bytes are not", all, none},
		{"power loss: bytes are kept, names are not", none, all},
		{"power loss: half of everything is kept", func(n int) int { return n / 2 }, func(n int) int { return n / 2 }},
	}
	for seed := range random {
		source := rand.New(rand.NewPCG(uint64(seed), 1))
		out = append(out, Policy{fmt.Sprintf("power loss: chance %d decides", seed+1),
			func(n int) int { return source.IntN(n + 1) },
			func(n int) int {
				switch source.IntN(3) {
				case 0:
					return 0
				case 1:
					return n
				}
				return source.IntN(n + 1)
			}})
	}
	return out
}

// Tree is what the disk holds after a power loss.
type Tree struct {
	files map[string]file // by path; directories, too
	order []string        // directories before what is in them
}

type file struct {
	mode   fs.FileMode
	target string
	data   []byte
	inode  *inode
}

// Crash returns the tree that is left when the power goes now.
func (d *Disk) Crash(policy Policy) *Tree {
	t := &Tree{files: map[string]file{}}
	t.add("", d.root, policy, map[*inode][]byte{})
	return t
}

func (t *Tree) add(name string, n *inode, policy Policy, kept map[*inode][]byte) {
	f := file{mode: n.mode, target: n.target, inode: n}
	if n.names == nil && n.target == "" {
		data, known := kept[n]
		if !known {
			data = n.left(policy)
			kept[n] = data
		}
		f.data = data
	}
	t.files[name] = f
	t.order = append(t.order, name)
	if n.names == nil {
		return
	}
	names := maps.Clone(n.durable)
	for _, change := range n.changes[:policy.Names(len(n.changes))] {
		if change.removed != "" {
			delete(names, change.removed)
		}
		if change.set != "" {
			names[change.set] = change.to
		}
	}
	for _, child := range slices.Sorted(maps.Keys(names)) {
		t.add(filepath.Join(name, child), names[child], policy, kept)
	}
}

// left returns what is left of a file's bytes. The lengths of writes that are lost may be there:
// what was not written reads as zeros.
func (n *inode) left(policy Policy) []byte {
	if len(n.writes) == 0 {
		return n.synced
	}
	data := slices.Clone(n.synced)
	for _, write := range n.writes {
		if write.data == nil {
			if policy.Bytes(1) > 0 {
				data = resized(data, write.at)
			}
			continue
		}
		if keep := policy.Bytes(len(write.data)); keep > 0 {
			data = written(data, write.at, write.data[:keep])
		}
	}
	return data
}

// Sum is the same for trees that are the same.
func (t *Tree) Sum() string {
	hash := sha256.New()
	for _, name := range t.order {
		f := t.files[name]
		_, _ = fmt.Fprintf(hash, "%q %v %q %x\n", name, f.mode, f.target, f.sum())
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// sum is the digest of a file's bytes; that of bytes on the disk is kept with them.
func (f file) sum() [sha256.Size]byte {
	if f.inode == nil || len(f.inode.writes) > 0 {
		return sha256.Sum256(f.data)
	}
	if f.inode.digest == nil {
		sum := sha256.Sum256(f.data)
		f.inode.digest = &sum
	}
	return *f.inode.digest
}

// Write makes the tree in dir, which must not exist. Files with several names stay one file.
func (t *Tree) Write(dir string) error {
	made := map[*inode]string{}
	for _, name := range t.order {
		f := t.files[name]
		path := filepath.Join(dir, name)
		var err error
		switch first := made[f.inode]; {
		case f.mode.IsDir():
			err = os.Mkdir(path, 0o700)
		case f.target != "":
			err = os.Symlink(f.target, path)
		case first != "":
			err = os.Link(first, path)
		default:
			made[f.inode] = path
			err = os.WriteFile(path, f.data, 0o600)
		}
		if err == nil && f.target == "" {
			err = os.Chmod(path, f.mode.Perm())
		}
		if err != nil {
			return err
		}
	}
	return nil
}
