package apply

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"slipway.build/slipway/agent/boot"
	"slipway.build/slipway/agent/journal"
)

// errDeadline is the cause when a plan's deadline ends what is under way.
var errDeadline = errors.New("the plan's deadline has passed")

// Uptime returns the name of the running boot and the time since it began, which no setting of
// the clock changes (clock_gettime(2), CLOCK_BOOTTIME). Without the name, times of different
// boots cannot be told apart, and each process counts on its own.
func Uptime() (id string, since time.Duration) {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		return "", 0
	}
	id, err := boot.ID()
	if err != nil {
		return "", 0
	}
	return id, time.Duration(now.Nano())
}

// spent is how long was worked on an entry, by now. Time while the node was off does not count.
func spent(entry journal.Entry, uptime func() (string, time.Duration)) time.Duration {
	if boot, since := uptime(); boot != "" && boot == entry.Boot && since > entry.Mark {
		return entry.Spent + since - entry.Mark
	}
	return entry.Spent
}

// stamp brings the entry's account of time up to now.
func (a *Applier) stamp(entry *journal.Entry) {
	entry.Spent = spent(*entry, a.Uptime)
	entry.Boot, entry.Mark = a.Uptime()
}

// within bounds a context by what is left of the plan's deadline.
func (t *transition) within(parent context.Context) (context.Context, context.CancelFunc) {
	deadline := t.checked.Plan.Deadline
	return context.WithTimeoutCause(parent, time.Duration(deadline)-spent(t.entry, t.Uptime),
		fmt.Errorf("%w (%s since %s)", errDeadline, deadline, t.entry.Began.UTC().Format(time.RFC3339)))
}
