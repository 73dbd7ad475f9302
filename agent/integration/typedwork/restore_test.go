package typedwork

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

// restore starts a fresh member from a snapshot and reads what it has. etcdutl is none of our
// images, so the test does what its restore does to a store: it takes the sum off the end and
// forgets the members and the place in the old log; the member begins a log of its own.
func restore(t *testing.T, w *trio, snapshot []byte) {
	t.Helper()
	store, sum := snapshot[:len(snapshot)-sha256.Size], snapshot[len(snapshot)-sha256.Size:]
	if got := sha256.Sum256(store); string(got[:]) != string(sum) {
		t.Fatalf("the sum is %x, the store has %x", sum, got)
	}
	m := newMember(t, w.ca, w.bin, "restored")
	file := filepath.Join(m.dir, "data", "member", "snap", "db")
	write(t, file, store)
	if err := os.Chmod(filepath.Join(m.dir, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	db, err := bbolt.Open(file, 0o600, &bbolt.Options{Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, bucket := range []string{"members", "members_removed"} {
			if err := tx.DeleteBucket([]byte(bucket)); err != nil {
				return fmt.Errorf("%s: %w", bucket, err)
			}
			if _, err := tx.CreateBucket([]byte(bucket)); err != nil {
				return err
			}
		}
		meta := tx.Bucket([]byte("meta"))
		for _, key := range []string{"consistent_index", "term", "confState"} {
			if err := meta.Delete([]byte(key)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	m.start(t, "new", m)
	w.await(m)
	if got := w.get(m, "kept"); got != "safe" {
		t.Errorf("kept is %q in the restored store", got)
	}
	var list struct{ Members []json.RawMessage }
	if err := w.ask(m, "/v3/cluster/member/list", struct{}{}, &list); err != nil || len(list.Members) != 1 {
		t.Errorf("members %s (%v)", list.Members, err)
	}
	m.kill()
}

// stopped does something while a process hangs.
func stopped(t *testing.T, m *member, do func()) {
	t.Helper()
	if err := m.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.cmd.Process.Signal(syscall.SIGCONT) }()
	do()
}
