package bundle

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Create writes an archive to a file, as Write does. The file appears in one step, whole and synced, or not at all; where the
// file system allows, a killed run leaves nothing of it, not even under another name.
func Create(ctx context.Context, path string, source Source, progress func(done, total int64)) (*Summary, error) {
	sum, err := create(path, func(w io.Writer) (*Summary, error) { return Write(ctx, w, source, progress) })
	if err != nil {
		return nil, fmt.Errorf("write the bundle %s: %w", path, err)
	}
	return sum, nil
}

func create(path string, write func(io.Writer) (*Summary, error)) (_ *Summary, err error) {
	dir := filepath.Dir(path)
	f, name, err := unnamed(dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if name != "" && err != nil {
			_ = os.Remove(name)
		}
	}()
	buffered := bufio.NewWriterSize(f, 1<<20)
	sum, err := write(buffered)
	if err != nil {
		return nil, err
	}
	if err := buffered.Flush(); err != nil {
		return nil, err
	}
	if err := f.Sync(); err != nil {
		return nil, err
	}
	if name == "" {
		if name, err = link(f, dir); err != nil {
			return nil, err
		}
	}
	if err := os.Rename(name, path); err != nil {
		return nil, err
	}
	name = ""
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	return sum, errors.Join(d.Sync(), d.Close())
}

// unnamed opens a file that has no name until it is whole; where there is no such thing, one with a
// name that is returned.
func unnamed(dir string) (*os.File, string, error) {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_WRONLY|unix.O_CLOEXEC, 0o644)
	if err == nil {
		return os.NewFile(uintptr(fd), filepath.Join(dir, "bundle")), "", nil
	}
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EACCES) {
		return nil, "", &os.PathError{Op: "open", Path: dir, Err: err}
	}
	f, err := os.CreateTemp(dir, ".bundle-")
	if err != nil {
		return nil, "", err
	}
	return f, f.Name(), f.Chmod(0o644)
}

// link gives the file a name of its own.
func link(f *os.File, dir string) (string, error) {
	for i := range 1000 {
		name := filepath.Join(dir, fmt.Sprintf(".bundle-%d-%d", os.Getpid(), i))
		err := unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", f.Fd()), unix.AT_FDCWD, name, unix.AT_SYMLINK_FOLLOW)
		if err == nil {
			return name, nil
		}
		if !errors.Is(err, unix.EEXIST) {
			return "", &os.PathError{Op: "link", Path: name, Err: err}
		}
	}
	return "", errors.New("no name is free")
}
