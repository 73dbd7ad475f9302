package pull

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// writeNew writes a small new file, not yet durable.
func writeNew(name string, raw []byte) error {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o444)
	if err != nil {
		return err
	}
	if _, err := file.Write(raw); err != nil {
		_ = file.Close()
		return fmt.Errorf("write %s: %w", name, err)
	}
	return file.Close()
}

// syncTree makes everything below dir durable, once all of it is written: the first sync commits
// what the others then find done. It is not one syncfs, which would wait for everybody's bytes on
// a shared disk. Files that were linked from another image are durable already.
func syncTree(dir string) error {
	var dirs []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			dirs = append(dirs, path)
			return nil
		}
		if info, err := entry.Info(); err != nil || linked(info) {
			return err
		}
		return syncPath(path)
	})
	for i := len(dirs) - 1; i >= 0 && err == nil; i-- {
		err = syncPath(dirs[i])
	}
	return err
}

// linked reports whether a file has another name.
func linked(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && stat.Nlink > 1
}

func syncDir(dir string) error { return syncPath(dir) }

func syncPath(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	if err := file.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", path, err)
	}
	return nil
}
