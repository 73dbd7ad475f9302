package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/fsnotify/fsnotify"

	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/imagebuild/lock"
)

// lockKeys are the statements of lock keys in a directory, as they are there now.
type lockKeys struct {
	dir     string
	log     *slog.Logger
	watcher *fsnotify.Watcher

	mu         sync.RWMutex
	statements []protocol.Signed
}

// openLockKeys reads the statements and begins to watch for more; close it.
func openLockKeys(dir string, log *slog.Logger) (*lockKeys, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("watch statements of lock keys: %w", err)
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watch statements of lock keys: %w", err)
	}
	k := &lockKeys{dir: dir, log: log, watcher: watcher}
	if err := watcher.Add(dir); err != nil { // before they are read, so that none is missed
		return nil, errors.Join(fmt.Errorf("watch statements of lock keys: %w", err), watcher.Close())
	}
	if k.statements, err = readStatements(dir); err != nil {
		return nil, errors.Join(err, watcher.Close())
	}
	return k, nil
}

func (k *lockKeys) close() error { return k.watcher.Close() }

// Statements returns all there are, the oldest first.
func (k *lockKeys) Statements() []protocol.Signed {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.statements
}

// tend takes in new statements until ctx ends. Those that were there stay when the directory
// cannot be read, or holds something that is no statement.
func (k *lockKeys) tend(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.watcher.Errors: // events were lost
		case <-k.watcher.Events:
		}
		statements, err := readStatements(k.dir)
		if err != nil {
			k.log.ErrorContext(ctx, "statements of lock keys cannot be read; those of before are delivered", "error", err)
			continue
		}
		k.mu.Lock()
		before := len(k.statements)
		k.statements = statements
		k.mu.Unlock()
		if len(statements) != before {
			k.log.InfoContext(ctx, "statements of lock keys", "number", len(statements))
		}
	}
}

// readStatements reads the statements of lock keys, <number>.json with its signature beside it, in
// their order; none is the usual case. Nodes judge their signatures.
func readStatements(dir string) ([]protocol.Signed, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	byNumber := map[int64]protocol.Signed{}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read a statement of lock keys: %w", err)
		}
		statement, err := lock.ParseKeys(raw)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		signature, err := os.ReadFile(file + ".sig")
		if err != nil {
			return nil, fmt.Errorf("read the signature of a statement of lock keys: %w", err)
		}
		byNumber[statement.Number] = protocol.Signed{Bytes: raw, Signature: signature}
	}
	var out []protocol.Signed
	for _, number := range slices.Sorted(maps.Keys(byNumber)) {
		out = append(out, byNumber[number])
	}
	return out, nil
}
