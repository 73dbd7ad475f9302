package faults

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// ownName returns a node's name that no other test of this machine has, until this one ends,
// however that happens. What an earlier test of that name left is the name's to clear.
func ownName(t *testing.T) string {
	t.Helper()
	for letter := 'a'; letter <= 'z'; letter++ {
		name := "slipt-matrix-" + string(letter)
		lock, err := os.OpenFile("/run/lock/"+name+".lock", os.O_CREATE|os.O_RDWR, 0o600)
		must(t, err)
		err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			t.Cleanup(func() { must(t, lock.Close()) })
			return name
		}
		must(t, lock.Close())
		if !errors.Is(err, unix.EWOULDBLOCK) {
			t.Fatal(err)
		}
	}
	t.Fatal("every name of a node is taken by a test that runs")
	return ""
}
