package boot

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestABootIsToldFromOthersOfTheSameKernel(t *testing.T) {
	dir := t.TempDir()
	id, stat := filepath.Join(dir, "boot_id"), filepath.Join(dir, "stat")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// proc_pid_stat(5): the 22nd field is 777 here; the name has spaces and brackets.
	fields := "S 0 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 "
	write(id, "6b0a\n")
	write(stat, "1 (my (init) x) "+fields+"777 170000\n")
	first, err := of(id, stat)
	if err != nil || first != "6b0a/777" {
		t.Errorf("%q, %v", first, err)
	}
	write(stat, "1 (systemd) "+fields+"901 170000\n")
	if second, err := of(id, stat); err != nil || second == first {
		t.Errorf("a container that booted anew is told as %q, %v", second, err)
	}
	write(stat, "1 (systemd) S 0\n")
	if _, err := of(id, stat); err == nil || !strings.Contains(err.Error(), "fields") {
		t.Errorf("a file that was cut off: %v", err)
	}
	if _, err := of(filepath.Join(dir, "nowhere"), stat); err == nil {
		t.Error("no id, and no error")
	}
}

func TestTheCurrentBootIsTheSameUntilTheNext(t *testing.T) {
	one, err := ID()
	if err != nil {
		t.Fatal(err)
	}
	if two, err := ID(); err != nil || one != two || one == "" {
		t.Errorf("%q, then %q, %v", one, two, err)
	}
}
