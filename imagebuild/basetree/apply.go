package basetree

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// apply turns a freshly installed Debian into the recipe's tree.
func (r recipe) apply(dir string) error {
	root, err := os.OpenRoot(dir) // no link of the tree leads out of it
	if err != nil {
		return err
	}
	defer root.Close()
	for _, pattern := range r.Remove {
		matches := []string{pattern}
		if strings.ContainsAny(pattern, `*?[`) { // Glob looks through a link, which is to go whatever it leads to
			var err error
			if matches, err = fs.Glob(root.FS(), pattern); err != nil {
				return fmt.Errorf("remove %s: %w", pattern, err)
			}
		}
		for _, path := range matches {
			if err := root.RemoveAll(path); err != nil {
				return fmt.Errorf("remove %s: %w", path, err)
			}
		}
	}
	for _, from := range sorted(r.Moves) {
		to := r.Moves[from]
		if err := root.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := root.Rename(from, to); err != nil {
			return fmt.Errorf("move %s: %w", from, err)
		}
	}
	for _, path := range sorted(r.Links) {
		if err := replace(root, path, func() error { return root.Symlink(r.Links[path], path) }); err != nil {
			return fmt.Errorf("link %s: %w", path, err)
		}
	}
	for _, path := range sorted(r.Files) {
		f := r.Files[path]
		err := replace(root, path, func() error {
			if err := root.WriteFile(path, []byte(f.Content), 0o600); err != nil {
				return err
			}
			return root.Chmod(path, fs.FileMode(f.Mode)) // whatever the umask
		})
		if err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
	}
	return nil
}

// replace makes path anew, with its parents.
func replace(root *os.Root, path string, create func() error) error {
	if err := root.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := root.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return create()
}

func sorted[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
