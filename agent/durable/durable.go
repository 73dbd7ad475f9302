// Package durable writes files so that after a power loss either the old or the new content is
// there, never a part: temporary file, mode and owner, sync, rename, sync of the directory. What
// an interrupted write leaves has a name by which Sweep knows it.
package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// tempPrefix begins the names of temporary files; nothing else of the agent's is called so.
const tempPrefix = ".slipway-tmp-"

// WriteFile replaces name atomically and makes it durable. Mode is exact, whatever the umask.
func WriteFile(name string, content []byte, mode os.FileMode) error {
	return WriteOwned(name, content, mode, "")
}

// WriteOwned is WriteFile for a file that belongs to a user of this machine, by name; "" leaves
// it to the caller's own user. The file never exists under its name with another owner or mode.
func WriteOwned(name string, content []byte, mode os.FileMode, owner string) (err error) {
	dir := filepath.Dir(name)
	file, err := createTemp(dir, filepath.Base(name))
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("write %s: %w", name, err)
		}
	}()
	_, err = file.Write(content)
	if err == nil {
		err = Chown(file, owner)
	}
	if err == nil {
		err = file.Chmod(mode)
	}
	if err == nil {
		err = file.Sync()
	}
	if err == nil {
		err = os.Rename(file.Name(), name)
	}
	if err != nil {
		return errors.Join(err, ignoreMissing(os.Remove(file.Name())), file.Close())
	}
	return errors.Join(file.Close(), SyncDir(dir))
}

// createTemp makes a temporary file and locks it, so that Sweep knows that somebody writes it. It is
// always in the directory itself: a rename is atomic only within one file system, and what is left of
// it is found there.
func createTemp(dir, base string) (*os.File, error) {
	for {
		file, err := os.CreateTemp(dir, tempPrefix+base+"-")
		if err != nil {
			return nil, err
		}
		lost, err := lockTemp(file)
		if err == nil && !lost {
			return file, nil
		}
		if err := errors.Join(err, ignoreMissing(os.Remove(file.Name())), file.Close()); err != nil {
			return nil, err
		}
	}
}

// lockTemp locks a temporary file, which a Sweep may have removed just before.
func lockTemp(file *os.File) (lost bool, err error) {
	switch err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
	case errors.Is(err, unix.EWOULDBLOCK):
		return true, nil // a Sweep is about to
	case err != nil:
		return false, fmt.Errorf("lock %s: %w", file.Name(), err)
	}
	var stat unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &stat); err != nil {
		return false, err
	}
	return stat.Nlink == 0, nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// removeAny removes what an interrupted call may have left, and does nothing when it has not.
func removeAny(path string) error {
	if _, err := os.Lstat(path); err != nil {
		return ignoreMissing(err)
	}
	return os.RemoveAll(path)
}

// Chown gives an open file to a user by name and to that user's group; "" changes nothing.
func Chown(file *os.File, owner string) error {
	if owner == "" {
		return nil
	}
	account, err := user.Lookup(owner)
	if err != nil {
		return fmt.Errorf("owner %s: %w (is the OS layer's sysusers file in place?)", owner, err)
	}
	uid, err1 := strconv.Atoi(account.Uid)
	gid, err2 := strconv.Atoi(account.Gid)
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("owner %s: %w", owner, err)
	}
	if uid == os.Geteuid() {
		return nil
	}
	return file.Chown(uid, gid)
}

// SyncDir makes the names in a directory durable.
func SyncDir(dir string) error {
	file, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	defer func() { _ = file.Close() }()
	if err := file.Sync(); err != nil {
		return fmt.Errorf("sync directory %s: %w", dir, err)
	}
	return nil
}

// MkdirAll makes a directory and those above it that are missing, and makes their names durable.
func MkdirAll(dir string, mode os.FileMode) error {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	parent := filepath.Dir(dir)
	if err := MkdirAll(parent, mode); err != nil {
		return err
	}
	if err := os.Mkdir(dir, mode); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make a directory: %w", err)
	}
	return SyncDir(parent)
}

// Symlink points the symbolic link name at target by one rename.
func Symlink(target, name string) error {
	temp := filepath.Join(filepath.Dir(name), tempPrefix+filepath.Base(name))
	// One of that name is what an interrupted call left; there is one agent only.
	if err := removeAny(temp); err != nil {
		return fmt.Errorf("point %s at %s: %w", name, target, err)
	}
	if err := os.Symlink(target, temp); err != nil {
		return fmt.Errorf("point %s at %s: %w", name, target, err)
	}
	if err := os.Rename(temp, name); err != nil {
		return errors.Join(fmt.Errorf("point %s at %s: %w", name, target, err), ignoreMissing(os.Remove(temp)))
	}
	return SyncDir(filepath.Dir(name))
}

// RemoveAll removes a tree so that it is never there in part: it loses its name at once, and what
// an interrupted call leaves of it is Sweep's.
func RemoveAll(path string) error {
	temp := filepath.Join(filepath.Dir(path), tempPrefix+filepath.Base(path))
	if _, err := os.Lstat(path); err != nil {
		return ignoreMissing(err)
	}
	if err := removeAny(temp); err != nil {
		return err
	}
	if err := os.Rename(path, temp); err != nil {
		return err
	}
	// Durable before the first file of it is gone, or a power loss could show the rest.
	if err := SyncDir(filepath.Dir(path)); err != nil {
		return err
	}
	return os.RemoveAll(temp)
}

// IsTemporary reports whether a file name is one that only an interrupted call leaves.
func IsTemporary(name string) bool { return strings.HasPrefix(name, tempPrefix) }

// Sweep removes what interrupted writes and removals left in a directory, not below it. A file that
// is being written now is no such thing. A directory that is not there has nothing left in it.
func Sweep(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return ignoreMissing(err)
	}
	for _, entry := range entries {
		if IsTemporary(entry.Name()) {
			if err := sweep(filepath.Join(dir, entry.Name()), entry.Type()); err != nil {
				return fmt.Errorf("sweep %s: %w", dir, err)
			}
		}
	}
	return nil
}

func sweep(path string, kind fs.FileMode) error {
	if !kind.IsRegular() {
		return os.RemoveAll(path)
	}
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return ignoreMissing(err)
	}
	defer func() { _ = file.Close() }()
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
		return nil // somebody writes it
	} else if err != nil {
		return err
	}
	return ignoreMissing(os.Remove(path))
}
