package namespace

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// Dir is where named namespaces are mounted, as ip-netns(8) has it.
const Dir = "/run/netns"

// Path returns the path that names a namespace, for setns(2) and systemd-nspawn's
// --network-namespace-path.
func Path(name string) string { return filepath.Join(Dir, name) }

// Exists reports whether a namespace of that name is there. A file that an interrupted Ensure
// left behind is none.
func Exists(name string) bool {
	var st unix.Statfs_t
	return unix.Statfs(Path(name), &st) == nil && uint32(st.Type) == unix.NSFS_MAGIC
}

// Ensure makes the namespace when it is not there yet, and reports whether it did. The new
// namespace has nothing but a loopback link that is down.
func Ensure(name string) (made bool, err error) {
	if Exists(name) {
		return false, nil
	}
	if err := os.MkdirAll(Dir, 0o755); err != nil {
		return false, fmt.Errorf("make network namespace %s: %w", name, err)
	}
	file, err := os.OpenFile(Path(name), os.O_CREATE|os.O_RDONLY, 0o444)
	if err != nil {
		return false, fmt.Errorf("make network namespace %s: %w", name, err)
	}
	file.Close()
	err = onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("unshare: %w", err)
		}
		return unix.Mount(threadNetns(), Path(name), "", unix.MS_BIND, "")
	})
	if err != nil {
		return false, fmt.Errorf("make network namespace %s: %w", name, err)
	}
	return true, nil
}

// Delete removes the name. The namespace itself, and all links in it, go when no process is
// left in it. A name that is not there is no error.
func Delete(name string) error {
	for {
		err := unix.Unmount(Path(name), unix.MNT_DETACH)
		if err == nil {
			continue // two mounts lie on each other when two callers made it at the same time
		}
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
			break
		}
		return fmt.Errorf("remove network namespace %s: %w", name, err)
	}
	if err := os.Remove(Path(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove network namespace %s: %w", name, err)
	}
	return nil
}

// Do runs fn on a thread that is in the namespace. Processes that fn starts are in it too;
// goroutines that fn starts are not.
func Do(name string, fn func() error) error {
	file, err := os.Open(Path(name))
	if err != nil {
		return fmt.Errorf("enter network namespace %s: %w", name, err)
	}
	defer file.Close()
	return onThread(func() error {
		if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter network namespace %s: %w", name, err)
		}
		return fn()
	})
}

// List returns the names of all namespaces, also of files that an interrupted Ensure left.
func List() ([]string, error) {
	entries, err := os.ReadDir(Dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list network namespaces: %w", err)
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

func threadNetns() string { return fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()) }

// onThread runs fn on a thread of its own that may change its network namespace, and leads the
// thread back. A thread that cannot be led back stays locked and so dies with its goroutine.
func onThread(fn func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		home, err := os.Open(threadNetns())
		if err != nil {
			done <- err
			return
		}
		defer home.Close()
		err = fn()
		if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back == nil {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}
