// Package worktree finds the clone of the repository that slipway was built in: the lock, the
// build modules and the example request are read from there.
package worktree

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
)

// module is the first line of the repository's go.mod.
const module = "module slipway.build/slipway"

// Tree is a clone of the repository.
type Tree struct{ Root string }

// Find returns the clone at root when root is not empty. Otherwise it looks upwards from the
// working directory and then from the running executable (bin/slipway of a clone).
func Find(root string) (Tree, error) {
	if root != "" {
		if !is(root) {
			return Tree{}, fmt.Errorf("%s is not a clone of slipway: its go.mod does not say %q", root, module)
		}
		abs, err := filepath.Abs(root)
		return Tree{abs}, err
	}
	var starts []string
	if dir, err := os.Getwd(); err == nil {
		starts = append(starts, dir)
	}
	if exe, err := os.Executable(); err == nil {
		if real, err := filepath.EvalSymlinks(exe); err == nil {
			starts = append(starts, filepath.Dir(real))
		}
	}
	for _, start := range starts {
		for dir := start; ; dir = filepath.Dir(dir) {
			if is(dir) {
				return Tree{dir}, nil
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	return Tree{}, fmt.Errorf("no clone of slipway in or above %v: run this in a clone, or name one with --source", starts)
}

func is(dir string) bool {
	b, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return false
	}
	line, _, _ := bytes.Cut(b, []byte("\n"))
	return string(bytes.TrimSpace(line)) == module
}

// Lock is the committed lock.
func (t Tree) Lock() string { return filepath.Join(t.Root, "images.yaml") }

// Sources is the directory of the components' build modules.
func (t Tree) Sources() string {
	return filepath.Join(t.Root, "imagebuild", "component", "sources")
}

// Bin is a program that `make build` makes.
func (t Tree) Bin(name string) string { return filepath.Join(t.Root, "bin", name) }

// Example is the create request of the paper.
func (t Tree) Example() string { return filepath.Join(t.Root, "examples", "cluster-create.json") }
