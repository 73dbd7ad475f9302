// Package durable writes files so that after a power loss either the old or the new content is
// there, never a part: temporary file, sync, mode and owner, rename, sync of the directory.
package durable

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"

	"github.com/google/renameio/v2"
)

// WriteFile replaces name atomically and makes it durable. Mode is exact, whatever the umask.
func WriteFile(name string, content []byte, mode os.FileMode) error {
	return WriteOwned(name, content, mode, "")
}

// WriteOwned is WriteFile for a file that belongs to a user of this machine, by name; "" leaves
// it to the caller's own user. The file never exists under its name with another owner or mode.
func WriteOwned(name string, content []byte, mode os.FileMode, owner string) error {
	pending, err := renameio.NewPendingFile(name, renameio.WithPermissions(0o600), renameio.IgnoreUmask())
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	defer func() { _ = pending.Cleanup() }()
	if _, err := pending.Write(content); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := Chown(pending.File, owner); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := pending.Chmod(mode); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := pending.CloseAtomicallyReplace(); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return SyncDir(filepath.Dir(name))
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

// Symlink points the symbolic link name at target by one rename.
func Symlink(target, name string) error {
	if err := renameio.Symlink(target, name); err != nil {
		return fmt.Errorf("point %s at %s: %w", name, target, err)
	}
	return SyncDir(filepath.Dir(name))
}
