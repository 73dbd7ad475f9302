package collect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"slipway.build/slipway/agent/heat/metadata"
)

// LocalData is where an operator puts metadata of their own.
const LocalData = "/var/lib/os-collect-config/local-data"

// Local reads the files of a directory, in the order of their names' bytes. A directory or file
// that somebody else could write is refused: its content would run as root.
type Local struct{ Dir string }

// Name implements Collector.
func (*Local) Name() string { return nameLocal }

// Collect implements Collector.
func (c *Local) Collect(context.Context, metadata.Settings) (Found, error) {
	entries, err := os.ReadDir(c.Dir) // sorted by name
	if errors.Is(err, fs.ErrNotExist) {
		return Found{}, ErrNotConfigured
	}
	if err != nil {
		return Found{}, fmt.Errorf("read the local metadata: %w", err)
	}
	if err := safe(c.Dir); err != nil {
		return Found{}, err
	}
	var found Found
	for _, entry := range entries {
		path := filepath.Join(c.Dir, entry.Name())
		info, err := os.Stat(path)
		if strings.HasPrefix(entry.Name(), ".") || err == nil && !info.Mode().IsRegular() {
			continue
		}
		raw, err := readSafe(path)
		if err != nil {
			return Found{}, err
		}
		doc, err := metadata.Parse(entry.Name(), raw)
		if err != nil {
			return Found{}, err
		}
		found.Docs = append(found.Docs, doc)
	}
	if len(found.Docs) == 0 {
		return Found{}, ErrNotConfigured
	}
	return found, nil
}

// readSafe reads a file after it has looked at the open file itself.
func readSafe(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the local metadata: %w", err)
	}
	defer func() { _ = file.Close() }()
	var stat unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &stat); err != nil {
		return nil, fmt.Errorf("local metadata %s: %w", path, err)
	}
	if err := judge(path, stat); err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(io.LimitReader(file, metadata.MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read the local metadata %s: %w", path, err)
	}
	return raw, nil
}

func safe(path string) error {
	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil {
		return fmt.Errorf("local metadata %s: %w", path, err)
	}
	return judge(path, stat)
}

func judge(path string, stat unix.Stat_t) error {
	if int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("local metadata %s belongs to user %d: refused (chown it to %d)", path, stat.Uid, os.Geteuid())
	}
	if stat.Mode&unix.S_IWOTH != 0 {
		return fmt.Errorf("local metadata %s can be written by everybody: refused (chmod o-w)", path)
	}
	return nil
}
