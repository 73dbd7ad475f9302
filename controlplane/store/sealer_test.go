package store

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"slipway.build/slipway/controlplane/fault"
)

func TestSealedValueOpensOnlyWhereItBelongs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "store.key")
	s, err := OpenSealer(path)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := s.Seal([]byte("key"), "authority/c/etcd")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte("key")) {
		t.Error("the value is readable")
	}
	again, err := OpenSealer(path)
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := again.Open(sealed, "authority/c/etcd"); err != nil || string(plain) != "key" {
		t.Errorf("%q, %v", plain, err)
	}
	changed := bytes.Clone(sealed)
	changed[len(changed)-1] ^= 1
	other, err := OpenSealer(filepath.Join(t.TempDir(), "store.key"))
	if err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"another context": second(s.Open(sealed, "authority/c/kubernetes")),
		"a changed byte":  second(s.Open(changed, "authority/c/etcd")),
		"a short value":   second(s.Open(sealed[:5], "authority/c/etcd")),
		"another key":     second(other.Open(sealed, "authority/c/etcd")),
	} {
		if !fault.IsTerminal(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestKeyFileIsPrivateAndNeverReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store.key")
	var wg sync.WaitGroup
	sealers := make([]*Sealer, 8)
	for i := range sealers {
		wg.Go(func() {
			var err error
			if sealers[i], err = OpenSealer(path); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	sealed, _ := sealers[0].Seal([]byte("v"), "c")
	for _, s := range sealers {
		if _, err := s.Open(sealed, "c"); err != nil {
			t.Error("two that raced have different keys")
		}
	}
	if st, _ := os.Stat(path); st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", st.Mode())
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenSealer(path); !fault.IsTerminal(err) {
		t.Errorf("a key that others may read: %v", err)
	}
	if err := os.WriteFile(path, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	os.Chmod(path, 0o600)
	if _, err := OpenSealer(path); !fault.IsTerminal(err) {
		t.Errorf("a short key: %v", err)
	}
}
