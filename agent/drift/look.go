package drift

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Change is one thing that is not as the plan says.
type Change struct {
	path  string
	class class
	what  string // in words, with what was expected and found
	want  *want  // nil for something that nobody asked for
	// content is set when more than mode or owner differs.
	content bool
	since   syscall.Timespec // when what was found was changed
	inode   identity         // of what was found
	// shown is set for what the generator shows to systemd, foreign for what is told and not touched.
	shown, foreign bool
}

func (c Change) String() string { return c.path + ": " + c.what }

// identity tells files apart, whatever their names.
type identity struct{ device, number uint64 }

// print is what a file looked like when it was last proven.
type print struct {
	identity
	size         int64
	mtime, ctime syscall.Timespec
	mode         uint32
	uid          uint32
	links        uint64
}

func printOf(stat *syscall.Stat_t) print {
	return print{
		identity: identity{stat.Dev, stat.Ino}, size: stat.Size, mtime: stat.Mtim, ctime: stat.Ctim,
		mode: stat.Mode, uid: stat.Uid, links: uint64(stat.Nlink),
	}
}

// linked reports whether two prints differ only because a link to the file was made or removed, as
// staging and collecting generations does.
func (p print) linked(now print) bool {
	if p.links == now.links {
		return false
	}
	p.links, p.ctime = now.links, now.ctime
	return p == now
}

// look compares one thing with how it should be. A file that looks as it did when it was proven is
// not read again. A file of an image that is the store's and was not hashed by this process yet, or
// that was only linked anew since, is hashed when its turn comes: it is at each start, too.
func (a *armed) look(w *want) *Change {
	info, err := os.Lstat(w.path)
	if err != nil {
		return missing(w, err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	now := printOf(stat)
	if a.proven[w.path] == now {
		return nil
	}
	change := &Change{path: w.path, class: w.class, want: w, since: stat.Ctim, inode: now.identity}
	switch {
	case w.isDir() != info.IsDir() || !w.isDir() && !info.Mode().IsRegular():
		change.what, change.content = fmt.Sprintf("it is %s", kind(info.Mode())), true
		return change
	case w.isDir():
	case w.isLink() && now.size == w.size && (a.proven[w.path].linked(now) || a.proven[w.path] == (print{}) && same(w.path, w.store)):
		a.put(w.path, now)
		return a.attributes(change, info, now)
	case w.opaque:
	default:
		if err := a.content(change, now); err != nil {
			return missing(w, err)
		}
		if change.content {
			return change
		}
	}
	if change = a.attributes(change, info, now); change == nil {
		a.proven[w.path] = now
	}
	return change
}

func missing(w *want, err error) *Change {
	what := "it is gone"
	if !errors.Is(err, fs.ErrNotExist) {
		what = err.Error()
	}
	return &Change{path: w.path, class: w.class, what: what, want: w, content: true, since: wentAt(w.path)}
}

// wentAt is when something went, as its directory remembers; now when that is gone, too.
func wentAt(path string) syscall.Timespec {
	if info, err := os.Stat(filepath.Dir(path)); err == nil {
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			return stat.Ctim
		}
	}
	return syscall.NsecToTimespec(time.Now().UnixNano())
}

// content hashes a file.
func (a *armed) content(change *Change, now print) error {
	w := change.want
	if now.size != w.size {
		change.what, change.content = fmt.Sprintf("expected %d bytes, found %d", w.size, now.size), true
		return nil
	}
	found, err := sumOf(w.path)
	if err != nil {
		return err
	}
	if found != w.sum {
		change.what = fmt.Sprintf("expected sha256 %s, found %s", hex.EncodeToString(w.sum[:]), hex.EncodeToString(found[:]))
		change.content = true
	}
	return nil
}

// attributes compares mode and owner; nil when they are right.
func (a *armed) attributes(change *Change, info fs.FileInfo, now print) *Change {
	w := change.want
	mode, wanted := info.Mode().Perm(), w.mode.Perm()
	switch {
	case w.isLink() && mode&0o222 != 0:
		change.what = fmt.Sprintf("its mode is %04o, nobody may write it", mode)
	case !w.isLink() && mode != wanted:
		change.what = fmt.Sprintf("expected mode %04o, found %04o", wanted, mode)
	case int(now.uid) != w.owner:
		change.what = fmt.Sprintf("expected owner %d, found %d", w.owner, now.uid)
	default:
		return nil
	}
	return change
}

func kind(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a directory"
	case mode.IsRegular():
		return "a file"
	case mode&fs.ModeSymlink != 0:
		return "a symbolic link"
	default:
		return "a special file"
	}
}

func sumOf(path string) (sum [sha256.Size]byte, err error) {
	// What stands under the name may have been swapped since: no link is followed, nothing blocks.
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return sum, err
	}
	defer func() { _ = file.Close() }()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return sum, err
	}
	return [sha256.Size]byte(hash.Sum(nil)), nil
}
