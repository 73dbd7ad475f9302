package conditions

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"slipway.build/slipway/agent/protocol"
)

// Types of Clock's conditions.
const (
	TypeSkew   = "ClockSkew"
	TypeUnsync = "ClockUnsynchronized"
)

// A clock is wrong from the first distance to the control plane's, and right again below the
// second. Raft measures time by its own ticks and certificates by days; what suffers first is
// whoever compares logs, leases and tokens of several nodes.
const (
	skewMuch   = 3 * time.Second
	skewLittle = 1500 * time.Millisecond
)

// Offset is a comparison of the node's clock with another: Ahead says by how much the node's was
// ahead, Within how wrong that may be, At what it showed then (zero: it was never compared), and
// Elapsed how much time has passed since, by a clock that nobody sets.
type Offset struct {
	Ahead, Within time.Duration
	At            time.Time
	Elapsed       time.Duration
}

// Clock watches the node's clock: how far it is from the control plane's, and whether it is
// kept right by NTP.
type Clock struct {
	// Offset returns the newest comparison with the control plane's clock.
	Offset func() Offset
	// Adjust is adjtimex(2); unix.Adjtimex when nil.
	Adjust func(*unix.Timex) (int, error)
	// Container is the file in which systemd says that the node is a container, whose clock is
	// its host's; /run/systemd/container when empty.
	Container string

	skewed bool
}

// Every implements Source.
func (c *Clock) Every() time.Duration { return time.Minute }

// Look implements Source.
func (c *Clock) Look(context.Context) []protocol.Condition {
	return []protocol.Condition{c.skew(), c.synchronized()}
}

func (c *Clock) skew() protocol.Condition {
	offset := c.Offset()
	if offset.At.IsZero() {
		return finding(TypeSkew, Unknown, "NotCompared", "the control plane has not answered yet, so there is nothing to compare with")
	}
	// When the clock was set since, it shows here, with no new comparison. Round takes the
	// monotonic clock's reading away.
	ahead := offset.Ahead + time.Now().Round(0).Sub(offset.At.Round(0)) - offset.Elapsed
	bound := skewMuch
	if c.skewed {
		bound = skewLittle
	}
	c.skewed = ahead.Abs() > bound+offset.Within
	figure := fmt.Sprintf("%v ahead of", ahead.Abs().Round(100*time.Millisecond))
	if ahead < 0 {
		figure = fmt.Sprintf("%v behind", ahead.Abs().Round(100*time.Millisecond))
	}
	if c.skewed {
		return finding(TypeSkew, True, "Skewed", "the node's clock is %s the control plane's; set one of them right by NTP", figure)
	}
	return finding(TypeSkew, False, "Close", "the node's clock is %s the control plane's, within %v", figure, offset.Within.Round(100*time.Millisecond))
}

// synchronized asks the kernel, to which every NTP daemon reports.
func (c *Clock) synchronized() protocol.Condition {
	file := c.Container
	if file == "" {
		file = "/run/systemd/container"
	}
	if kind, err := os.ReadFile(file); err == nil {
		return finding(TypeUnsync, False, "HostClock", "the node is a container (%s): its clock is its host's", strings.TrimSpace(string(kind)))
	}
	adjust := c.Adjust
	if adjust == nil {
		adjust = unix.Adjtimex
	}
	var t unix.Timex
	if _, err := adjust(&t); err != nil {
		return finding(TypeUnsync, Unknown, "Unreadable", "ask the kernel about its clock: %v", err)
	}
	if t.Status&unix.STA_UNSYNC != 0 {
		return finding(TypeUnsync, True, "NoTimeSource", "the kernel's clock is not synchronized; see `timedatectl` and `systemctl status chronyd`")
	}
	return finding(TypeUnsync, False, "Synchronized", "synchronized by NTP, off by %v at most", time.Duration(t.Maxerror)*time.Microsecond)
}
