package worktree

import (
	"os"
	"path/filepath"
	"testing"
)

func TestTheTreeIsFoundFromBelow(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "go.mod"), []byte(module+"\n\ngo 1.26\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	below := filepath.Join(root, "a", "b")
	if err := os.MkdirAll(below, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(below)
	tree, err := Find("")
	if err != nil || tree.Root != root {
		t.Fatalf("found %+v, %v; want %s", tree, err, root)
	}
	if tree.Lock() != filepath.Join(root, "images.yaml") {
		t.Errorf("lock at %s", tree.Lock())
	}
}

func TestADirectoryOfAnotherModuleIsRefused(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "go.mod"), []byte("module example.com/other\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Find(root); err == nil {
		t.Error("another module's directory was taken for a clone of slipway")
	}
}
