package testnode

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// Name returns a name for a node that begins with prefix and that no other test of this machine
// has, until this one ends, however that happens. What an earlier test of that name left is the
// name's to clear.
func Name(t testing.TB, prefix string) string {
	t.Helper()
	if err := os.MkdirAll("/run/lock", 0o755); err != nil {
		t.Fatal(err)
	}
	for letter := 'a'; letter <= 'z'; letter++ {
		name := prefix + "-" + string(letter)
		lock, err := os.OpenFile("/run/lock/"+name+".lock", os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			t.Cleanup(func() { _ = lock.Close() })
			return name
		}
		_ = lock.Close()
		if !errors.Is(err, unix.EWOULDBLOCK) {
			t.Fatalf("lock the name %s: %v", name, err)
		}
	}
	t.Fatalf("every name of a node that begins with %s is taken by a test that runs", prefix)
	return ""
}
