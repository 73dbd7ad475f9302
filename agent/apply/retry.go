package apply

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"slipway.build/slipway/agent/backoff"
)

// ofTheDisk reports whether an error comes from this node's own disk, which says nothing about
// the plan: space may be made, and what was begun can be begun again.
func ofTheDisk(err error) bool {
	for _, errno := range []unix.Errno{unix.ENOSPC, unix.EDQUOT, unix.EIO, unix.EROFS} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}

// verdict is the end of an application that the journal knows of, and with it whoever waits.
type verdict struct{ error }

func (v verdict) Unwrap() error { return v.error }

// diskWaits is the pace of trying again on a bad disk.
func diskWaits() backoff.Backoff {
	return backoff.Backoff{First: 200 * time.Millisecond, Max: 10 * time.Second}
}

// insist does something again for as long as this node's disk alone keeps it from being done and
// ctx lasts. It returns the last error.
func (a *Applier) insist(ctx context.Context, what string, do func() error) error {
	waits := diskWaits()
	for {
		err := do()
		var done verdict
		if err == nil || ctx.Err() != nil || errors.As(err, &done) || !ofTheDisk(err) {
			return err
		}
		a.Log.Error("the disk keeps the agent from its work; it tries again", "what", what, "error", err)
		if waits.Wait(ctx) != nil {
			return err
		}
	}
}
