package unpack

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// writebackStep is how many bytes are written before the kernel is asked to start bringing them
// to the disk. Early writeback keeps the dirty set small, so that the one sync at the end finds
// little to do and the fsync of somebody else (etcd's, on the same file system) does not have to
// wait for ours.
const writebackStep = 8 << 20

// fileWriter writes one new file of a known size.
type fileWriter struct {
	file    *os.File
	name    string
	mode    os.FileMode
	offset  int64
	started int64 // writeback was asked for up to here
}

func newFileWriter(root *os.Root, name string, size int64, mode os.FileMode) (*fileWriter, error) {
	file, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("unpack file %s: %w", name, err)
	}
	w := &fileWriter{file: file, name: name, mode: mode}
	if size > 0 {
		// Reserve the space at once: a full disk shows before the first byte, and ext4 need not
		// allocate on the way. A file system without fallocate is no reason to fail.
		err := unix.Fallocate(int(file.Fd()), 0, 0, size)
		if err != nil && err != unix.EOPNOTSUPP && err != unix.ENOSYS {
			w.abandon()
			return nil, fmt.Errorf("reserve %d bytes for %s: %w", size, name, os.NewSyscallError("fallocate", err))
		}
	}
	return w, nil
}

func (w *fileWriter) Write(p []byte) (int, error) {
	n, err := w.file.Write(p)
	w.offset += int64(n)
	if w.offset-w.started >= writebackStep {
		// Only a hint; what counts is the sync at the end.
		_ = unix.SyncFileRange(int(w.file.Fd()), w.started, w.offset-w.started, unix.SYNC_FILE_RANGE_WRITE)
		w.started = w.offset
	}
	return n, err
}

// finish sets the file's mode, has the rest of it written back and closes it. It is durable only
// after the image's sync.
func (w *fileWriter) finish() error {
	if err := w.file.Chmod(w.mode); err != nil {
		return fmt.Errorf("unpack file %s: %w", w.name, err)
	}
	_ = unix.SyncFileRange(int(w.file.Fd()), w.started, 0, unix.SYNC_FILE_RANGE_WRITE)
	err := w.file.Close()
	w.file = nil
	if err != nil {
		return fmt.Errorf("unpack file %s: %w", w.name, err)
	}
	return nil
}

// abandon closes a file that was not finished; the directory around it is thrown away.
func (w *fileWriter) abandon() {
	if w.file != nil {
		_ = w.file.Close()
		w.file = nil
	}
}
