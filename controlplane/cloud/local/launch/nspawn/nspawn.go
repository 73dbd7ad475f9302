// Package nspawn removes what a systemd-nspawn that was killed, or that had no time to end by
// itself, leaves below /run.
package nspawn

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

const run = "/run/systemd/nspawn"

// Machines returns the names of the machines that left something behind and match a shell
// pattern.
func Machines(pattern string) ([]string, error) {
	paths, err := filepath.Glob(filepath.Join(run, "propagate", pattern))
	for i, path := range paths {
		paths[i] = filepath.Base(path)
	}
	return paths, err
}

// ForgetMachine removes what is kept under a machine's name.
func ForgetMachine(name string) error {
	for _, path := range []string{"propagate/" + name, "unix-export/" + name, "locks/name-" + name} {
		if err := os.RemoveAll(filepath.Join(run, path)); err != nil {
			return err
		}
	}
	return nil
}

// ForgetRoot removes the lock on a root directory. It is named after the directory's inode, so
// this comes before the directory is unmounted or removed.
func ForgetRoot(root string) error {
	var st unix.Stat_t
	if err := unix.Stat(root, &st); err != nil {
		return nil // it never ran
	}
	err := os.Remove(fmt.Sprintf("%s/locks/inode-%d:%d", run, st.Dev, st.Ino))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
