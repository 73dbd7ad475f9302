package system

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// claim is the right to change what is in a state directory. It is a POSIX record lock: the
// kernel drops it with the process, and names the process that holds it.
type claim struct{ file *os.File }

// heldError says that another process has the claim.
type heldError struct{ pid int }

func (e *heldError) Error() string {
	return fmt.Sprintf("another slipway (process %d) is working on this state; wait for it, or end it", e.pid)
}

// take takes the claim of the state directory, which it makes when it is missing.
func take(state string) (*claim, error) {
	for {
		if err := os.MkdirAll(state, 0o755); err != nil {
			return nil, fmt.Errorf("make the state directory: %w", err)
		}
		name := filepath.Join(state, "slipway.lock")
		f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
		if errors.Is(err, os.ErrNotExist) {
			continue // somebody removes the directory right now
		}
		if err != nil {
			return nil, fmt.Errorf("claim the state directory: %w", err)
		}
		lock := unix.Flock_t{Type: unix.F_WRLCK}
		err = unix.FcntlFlock(f.Fd(), unix.F_SETLK, &lock)
		if err == nil && same(f, name) {
			return &claim{f}, nil
		}
		if err == nil {
			f.Close() // it was removed with the directory before it was ours
			continue
		}
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EACCES) {
			f.Close()
			return nil, fmt.Errorf("claim the state directory: %w", err)
		}
		holder := unix.Flock_t{Type: unix.F_WRLCK}
		err = unix.FcntlFlock(f.Fd(), unix.F_GETLK, &holder)
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("claim the state directory: %w", err)
		}
		if holder.Type != unix.F_UNLCK && holder.Pid > 0 {
			return nil, &heldError{int(holder.Pid)}
		}
	}
}

// same reports whether the open file is still the one with that name.
func same(f *os.File, name string) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Stat(name)
	return err == nil && os.SameFile(a, b)
}

// release gives the claim back.
func (c *claim) release() { c.file.Close() }

// takeOver takes the claim also from a running `slipway up`, which it asks to end and after
// the grace time makes end. It waits for any other holder, at most as long.
func takeOver(ctx context.Context, state string, grace time.Duration, note func(format string, a ...any)) (*claim, error) {
	begun := time.Now()
	told := map[int]bool{}
	for {
		c, err := take(state)
		var held *heldError
		if err == nil || !errors.As(err, &held) {
			return c, err
		}
		late := time.Since(begun) > grace
		if up(held.pid) && (!told[held.pid] || late) {
			signal := unix.SIGTERM
			if late {
				signal = unix.SIGKILL
			}
			note("ending the running `slipway up` (process %d)", held.pid)
			if err := unix.Kill(held.pid, signal); err != nil && !errors.Is(err, unix.ESRCH) {
				return nil, fmt.Errorf("end the running `slipway up` (process %d): %w", held.pid, err)
			}
			told[held.pid] = true
		}
		if time.Since(begun) > 2*grace {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// up reports whether the process is a `slipway up`.
func up(pid int) bool {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	if err != nil {
		return false
	}
	for _, arg := range bytes.Split(b, []byte{0})[1:] {
		if string(arg) == "up" {
			return true
		}
	}
	return false
}
