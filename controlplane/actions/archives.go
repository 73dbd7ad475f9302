package actions

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"slipway.build/slipway/controlplane/store"
)

// The retention of support archives: they hold what a node logged.
const (
	keptArchives = 8 // of each node, the newest
	archiveAge   = 7 * 24 * time.Hour
)

// Archives are the support archives in Dir, one directory for each node.
type Archives struct {
	Dir string

	mu      sync.Mutex
	arrival map[string]bool // nodes of which one comes now
}

// ErrBusy means that a node delivers an archive already: one at a time bounds what is half written.
var ErrBusy = errors.New("another archive of the node is being delivered")

// begin notes that an archive of the node comes; false when one does already.
func (a *Archives) begin(node string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.arrival[node] {
		return false
	}
	if a.arrival == nil {
		a.arrival = map[string]bool{}
	}
	a.arrival[node] = true
	return true
}

func (a *Archives) end(node string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.arrival, node)
}

const (
	archiveSuffix = ".tar.gz"
	tempSuffix    = ".tmp"
)

func (a *Archives) path(row *store.Action) string {
	return filepath.Join(a.Dir, row.NodeID, row.ID+archiveSuffix)
}

// Put keeps the archive of an action, in place of an earlier one, and of the node's archives only the
// newest. It returns the archive's size in bytes and its SHA-256 in hex.
func (a *Archives) Put(row *store.Action, content io.Reader) (size int64, sum string, err error) {
	if !a.begin(row.NodeID) {
		return 0, "", ErrBusy
	}
	defer a.end(row.NodeID)
	path := a.path(row)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return 0, "", fmt.Errorf("keep the archive of action %s: %w", row.ID, err)
	}
	file, err := os.CreateTemp(filepath.Dir(path), row.ID+"-*"+tempSuffix)
	if err != nil {
		return 0, "", fmt.Errorf("keep the archive of action %s: %w", row.ID, err)
	}
	hash := sha256.New()
	size, err = io.Copy(io.MultiWriter(file, hash), content)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return 0, "", errors.Join(fmt.Errorf("keep the archive of action %s: %w", row.ID, err), os.Remove(file.Name()))
	}
	if err := sweepNode(filepath.Dir(path), time.Now()); err != nil {
		return 0, "", fmt.Errorf("sweep support archives: %w", err)
	}
	return size, hex.EncodeToString(hash.Sum(nil)), nil
}

// Open returns the archive of an action; fs.ErrNotExist when there is none, or none any more.
func (a *Archives) Open(row *store.Action) (*os.File, error) { return os.Open(a.path(row)) }

// Sweep removes what is too old or too much, what was left half written an hour ago, and the
// archives of nodes that are gone.
func (a *Archives) Sweep(ctx context.Context, now time.Time, exists func(ctx context.Context, node string) (bool, error)) error {
	nodes, err := os.ReadDir(a.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("sweep support archives: %w", err)
	}
	for _, node := range nodes {
		here, err := exists(ctx, node.Name())
		if err != nil {
			return err
		}
		dir := filepath.Join(a.Dir, node.Name())
		if !here {
			err = os.RemoveAll(dir)
		} else {
			err = sweepNode(dir, now)
		}
		if err != nil {
			return fmt.Errorf("sweep support archives: %w", err)
		}
	}
	return nil
}

func sweepNode(dir string, now time.Time) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var kept []fs.FileInfo
	for _, entry := range entries {
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		age := now.Sub(info.ModTime())
		if age > archiveAge || strings.HasSuffix(entry.Name(), tempSuffix) && age > time.Hour {
			if err := os.Remove(filepath.Join(dir, entry.Name())); err != nil {
				return err
			}
			continue
		}
		if strings.HasSuffix(entry.Name(), archiveSuffix) {
			kept = append(kept, info)
		}
	}
	slices.SortFunc(kept, func(a, b fs.FileInfo) int { return b.ModTime().Compare(a.ModTime()) })
	for i := keptArchives; i < len(kept); i++ {
		if err := os.Remove(filepath.Join(dir, kept[i].Name())); err != nil {
			return err
		}
	}
	return nil
}
