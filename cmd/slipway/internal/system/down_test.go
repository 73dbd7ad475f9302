package system

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheStateIsNotRemovedWhileSomethingIsMountedInIt(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root to mount")
	}
	state := filepath.Join(t.TempDir(), "state")
	below := filepath.Join(state, "cloud", "root")
	if err := os.MkdirAll(below, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "sliptest", below).CombinedOutput(); err != nil {
		t.Fatalf("mount: %v: %s", err, out)
	}
	mounted := true
	unmount := func() {
		if mounted {
			exec.Command("umount", below).Run()
			mounted = false
		}
	}
	defer unmount()
	err := removeState(state)
	if err == nil || !strings.Contains(err.Error(), below+" is still mounted") {
		t.Fatalf("got %v", err)
	}
	unmount()
	if err := removeState(state); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(state); !os.IsNotExist(err) {
		t.Errorf("the state is still there: %v", err)
	}
	if err := removeState(state); err != nil {
		t.Errorf("removing what is not there: %v", err)
	}
}

func TestTheRootDirectoryIsNeverRemoved(t *testing.T) {
	if err := removeState("/"); err == nil {
		t.Fatal("it would have removed everything")
	}
}
