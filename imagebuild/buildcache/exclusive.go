package buildcache

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// poll is how often a held lock is tried again: flock cannot wait and be cancelled.
const poll = 200 * time.Millisecond

// Exclusive takes a lock file's flock, across processes; waiting, which may be nil, is called once
// if it is held. The lock ends with the returned function, or with the process. The error for a
// context that ends first is its cause.
func Exclusive(ctx context.Context, file string, waiting func()) (func(), error) {
	return take(ctx, file, syscall.LOCK_EX, waiting)
}

// Shared is Exclusive for those who do not disturb one another: it waits for who has the file
// exclusively, and keeps them out.
func Shared(ctx context.Context, file string, waiting func()) (func(), error) {
	return take(ctx, file, syscall.LOCK_SH, waiting)
}

// ErrHeld is the error of Try for a file that somebody has.
var ErrHeld = errors.New("the lock is held")

// Try is Exclusive for who does not wait.
func Try(file string) (func(), error) {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	return take(ctx, file, syscall.LOCK_EX, func() { cancel(ErrHeld) })
}

// take takes the flock of one of the two kinds.
func take(ctx context.Context, file string, kind int, waiting func()) (func(), error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", file, err)
	}
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for first := true; ; first = false {
		err := syscall.Flock(int(f.Fd()), kind|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			_ = f.Close()
			return nil, fmt.Errorf("lock %s: %w", file, err)
		}
		if first && waiting != nil {
			waiting()
		}
		select {
		case <-ctx.Done():
			_ = f.Close()
			return nil, context.Cause(ctx)
		case <-tick.C:
		}
	}
}
