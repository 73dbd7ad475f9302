package unpack

import (
	"fmt"
	"os"
	"slices"
	"sync"

	"slipway.build/slipway/imagebuild/lock"
)

// Target is where the files of one image go, and which files the signed lock allows. Its layers
// unpack side by side.
type Target struct {
	root   *os.Root // nil verifies without writing
	wanted map[string]lock.Binary
	limit  int64

	mu    sync.Mutex
	found map[string]bool
}

// NewTarget returns a target for these files under root; a nil root verifies without writing.
func NewTarget(root *os.Root, files []lock.Binary) *Target {
	t := &Target{root: root, wanted: make(map[string]lock.Binary, len(files)), found: map[string]bool{}, limit: tarMargin}
	for _, file := range files {
		t.wanted[file.Path] = file
		t.limit += file.Size
	}
	return t
}

// Claim notes that a file comes from somewhere; false says that it did already.
func (t *Target) Claim(name string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.found[name] {
		return false
	}
	t.found[name] = true
	return true
}

// Missing returns the files of the lock that nothing has brought yet, sorted by path.
func (t *Target) Missing() []lock.Binary {
	t.mu.Lock()
	defer t.mu.Unlock()
	var missing []lock.Binary
	for name, file := range t.wanted {
		if !t.found[name] {
			missing = append(missing, file)
		}
	}
	slices.SortFunc(missing, func(a, b lock.Binary) int {
		if a.Path < b.Path {
			return -1
		}
		return 1
	})
	return missing
}

// Forget removes files that were claimed, when what brought them turned out to be wrong.
func (t *Target) Forget(names []string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, name := range names {
		delete(t.found, name)
		if t.root == nil {
			continue
		}
		if err := t.root.Remove(name); err != nil && !os.IsNotExist(err) {
			return fmt.Errorf("remove refused file %s: %w", name, err)
		}
	}
	return nil
}
