package pull

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestTheStoreHasTheContextOfPrograms(t *testing.T) {
	dir := t.TempDir()
	program, store := filepath.Join(dir, "program"), filepath.Join(dir, "images")
	if err := errors.Join(os.WriteFile(program, nil, 0o755), os.Mkdir(store, 0o755)); err != nil {
		t.Fatal(err)
	}
	const bin = "system_u:object_r:bin_t:s0\x00"
	if err := unix.Lsetxattr(program, selinuxAttribute, []byte(bin), 0); err != nil {
		t.Skipf("files cannot be given contexts here: %v", err)
	}
	for range 2 {
		if err := labelAs(store, program); err != nil {
			t.Fatal(err)
		}
		if got, err := selinuxContext(store); err != nil || got != bin {
			t.Errorf("%q (%v)", got, err)
		}
	}
}

func TestWithoutContextsNothingIsLabelled(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "program")
	if err := labelAs(dir, program); err != nil { // not there
		t.Error(err)
	}
	if err := os.WriteFile(program, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := labelAs(dir, program); err != nil {
		t.Error(err)
	}
	if has, err := selinuxContext(program); has == "" && err == nil {
		if got, err := selinuxContext(dir); err != nil || got != "" {
			t.Errorf("%q (%v)", got, err)
		}
	}
}
