package database_test

import (
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"

	"slipway.build/slipway/agent/database"
)

const bucket = "things"

func put(t *testing.T, dir, key string) {
	t.Helper()
	db, err := database.Open(dir, "memory", bucket)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Update(func(tx *bbolt.Tx) error { return tx.Bucket([]byte(bucket)).Put([]byte(key), []byte("x")) }); err != nil {
		t.Error(err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

func keys(t *testing.T, dir string) int {
	t.Helper()
	db, err := database.Open(dir, "memory", bucket, "another")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	if err := db.View(func(tx *bbolt.Tx) error { n = tx.Bucket([]byte(bucket)).Stats().KeyN; return nil }); err != nil {
		t.Error(err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	return n
}

func TestWhatWasCommittedIsThereAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	put(t, dir, "one")
	put(t, dir, "two")
	if n := keys(t, dir); n != 2 {
		t.Errorf("%d keys, want 2", n)
	}
}

// The first start may end at any instant: what it has made by then under another name is worth
// nothing, whatever it is.
func TestADatabaseThatWasHalfMadeIsMadeAnew(t *testing.T) {
	for name, content := range map[string]string{"nothing": "", "zeros": string(make([]byte, 16<<10)), "something": "these are no pages"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, ".slipway-tmp-memory.db"), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			put(t, dir, "one")
			if n := keys(t, dir); n != 1 {
				t.Errorf("%d keys, want 1", n)
			}
			entries, err := os.ReadDir(dir)
			if err != nil || len(entries) != 1 || entries[0].Name() != "memory.db" {
				t.Errorf("the directory has %v (%v), want the database alone", entries, err)
			}
		})
	}
}
