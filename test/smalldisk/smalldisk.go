// Package smalldisk gives a test a file system that gets full.
package smalldisk

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// Mount returns an empty file system of some bytes, in whole pages, for as long as the test runs. A test
// that is not root's is skipped.
func Mount(t testing.TB, size int) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("mounts need root")
	}
	disk := t.TempDir()
	if err := unix.Mount("slipt", disk, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(disk, unix.MNT_DETACH) })
	return disk
}
