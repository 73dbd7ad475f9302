package compute

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// lock excludes all other holders of the same name on this machine until unlock is called or
// the process dies.
func (c *Compute) lock(ctx context.Context, name string) (unlock func(), err error) {
	path := filepath.Join(c.Dir, "locks", name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	for {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return nil, fmt.Errorf("lock %s: %w", name, err)
		}
		if err := flock(ctx, f); err != nil {
			return nil, fmt.Errorf("lock %s: %w", name, err)
		}
		// The holder removes the file as it unlocks, so what we hold may be no file any more.
		if mine, err := f.Stat(); err == nil {
			if now, err := os.Stat(path); err == nil && os.SameFile(mine, now) {
				return func() { os.Remove(path); f.Close() }, nil
			}
		}
		f.Close()
	}
}

// flock takes the lock or closes the file.
func flock(ctx context.Context, f *os.File) error {
	taken := make(chan error, 1)
	go func() { // ends when the lock is ours, soon after its holder is done
		for {
			err := unix.Flock(int(f.Fd()), unix.LOCK_EX)
			if err != unix.EINTR {
				taken <- err
				return
			}
		}
	}()
	select {
	case err := <-taken:
		if err != nil {
			f.Close()
		}
		return err
	case <-ctx.Done():
		go func() { <-taken; f.Close() }()
		return ctx.Err()
	}
}
