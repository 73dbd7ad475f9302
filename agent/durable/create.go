package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Create makes a file that others grow in place, unless there is one: build makes all of it, synced,
// under another name beside it, and only then does it get its own. A file that is there already is
// left alone, but its name is made durable, because whoever gave it may have ended before that.
func Create(name string, build func(temp string) error) error {
	dir := filepath.Dir(name)
	_, err := os.Lstat(name)
	if err == nil {
		return SyncDir(dir)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("make %s: %w", name, err)
	}
	temp := filepath.Join(dir, tempPrefix+filepath.Base(name))
	// One of that name is what an interrupted call left; there is one agent only.
	if err := removeAny(temp); err != nil {
		return fmt.Errorf("make %s: %w", name, err)
	}
	err = build(temp)
	if err == nil {
		err = os.Rename(temp, name)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("make %s: %w", name, err), ignoreMissing(os.Remove(temp)))
	}
	return SyncDir(dir)
}
