package compute

import (
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// writeFile replaces the file durably: its content, its mode, its name.
func writeFile(path string, data []byte, mode os.FileMode) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := renameio.WriteFile(path, data, mode, renameio.WithTempDir(dir), renameio.IgnoreUmask()); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
