package disk_test

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"slipway.build/slipway/test/faults/disk"
	"slipway.build/slipway/test/faults/tracer"
)

const base = "/base"

// history is a file that is replaced the right way, step by step.
func history() []*tracer.Call {
	return []*tracer.Call{
		{Name: "open", Path: base + "/temp", Flags: unix.O_CREAT | unix.O_WRONLY | unix.O_EXCL, Mode: 0o600},
		{Name: "write", Path: base + "/temp", Data: []byte("new content")},
		{Name: "sync", Path: base + "/temp"},
		{Name: "rename", From: base + "/temp", Path: base + "/file"},
		{Name: "sync", Path: base},
	}
}

func start(t *testing.T) *disk.Disk {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := disk.Load(dir, base)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func content(t *testing.T, tree *disk.Tree) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "crashed")
	if err := tree.Write(dir); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "file"))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestAFileThatIsReplacedTheRightWayIsOldOrNew(t *testing.T) {
	for _, policy := range disk.Policies(20) {
		d := start(t)
		for i, call := range history() {
			d.Apply(call)
			got := content(t, d.Crash(policy))
			if got != "old" && got != "new content" || got == "old" && i == len(history())-1 {
				t.Errorf("%s after %s: %q", policy.Name, call, got)
			}
		}
	}
}

func TestARenameBeforeItsBytesAreSyncedCanLoseThem(t *testing.T) {
	seen := map[string]bool{}
	for _, policy := range disk.Policies(20) {
		d := start(t)
		for _, call := range history() {
			if call.Name != "sync" {
				d.Apply(call)
			}
		}
		seen[content(t, d.Crash(policy))] = true
	}
	for _, want := range []string{"old", "", "new content"} {
		if !seen[want] {
			t.Errorf("no policy leaves %q; seen %v", want, seen)
		}
	}
}
