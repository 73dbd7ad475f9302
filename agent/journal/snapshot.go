package journal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// Layout of a bbolt file, as far as a consistent copy depends on it: two pages at the front say
// which tree is the newest, and what a tree refers to is not overwritten while it is the newest
// or the one before.
const (
	metaPages = 2
	// maxSnapshot bounds what is copied into memory; a journal of ours has some 100 KiB.
	maxSnapshot = 64 << 20
)

// errMoving says that the journal was written to while it was copied, each time.
var errMoving = errors.New("it was written to while it was read, again and again; try again")

// Snapshot opens a copy of the journal in dir as it is now, for reading, while an agent may be
// writing to it. The copy is in memory: it needs no space on a full disk and takes no lock.
// fs.ErrNotExist when there is no journal. Writing to a snapshot changes nothing on disk.
func Snapshot(dir string) (*Journal, error) {
	path := filepath.Join(dir, "journal.db")
	const tries = 10
	err := errMoving
	for range tries {
		var raw []byte
		if raw, err = copyStill(path); err == nil {
			var db *bbolt.DB
			if db, err = openMemory(raw); err == nil {
				return &Journal{db: db}, nil
			}
		}
		if !errors.Is(err, errMoving) {
			break
		}
	}
	return nil, fmt.Errorf("read the journal %s: %w", path, err)
}

// copyStill reads the file, and succeeds when no transaction ended meanwhile.
func copyStill(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	head := make([]byte, metaPages*os.Getpagesize())
	if _, err := io.ReadFull(file, head); err != nil {
		return nil, err
	}
	rest, err := io.ReadAll(io.LimitReader(file, maxSnapshot))
	if err != nil {
		return nil, err
	}
	again := make([]byte, len(head))
	if _, err := file.ReadAt(again, 0); err != nil {
		return nil, err
	}
	if !bytes.Equal(head, again) {
		return nil, errMoving
	}
	return append(head, rest...), nil
}

// openMemory opens a database that is in memory alone.
func openMemory(raw []byte) (*bbolt.DB, error) {
	fd, err := unix.MemfdCreate("slipway-journal", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("copy it into memory: %w", err)
	}
	file := os.NewFile(uintptr(fd), "memory")
	if _, err := file.Write(raw); err != nil {
		return nil, errors.Join(fmt.Errorf("copy it into memory: %w", err), file.Close())
	}
	options := &bbolt.Options{
		Timeout: time.Second, ReadOnly: true,
		OpenFile: func(string, int, os.FileMode) (*os.File, error) { return file, nil },
	}
	db, err := bbolt.Open(path(fd), 0o400, options)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return db, nil
}

func path(fd int) string { return fmt.Sprintf("/proc/self/fd/%d", fd) }
