package progress

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// State is how far a task is.
type State string

// The states of a task; the last three end it.
const (
	Running State = "running"
	Done    State = "done"
	Skipped State = "skipped"
	Failed  State = "failed"
)

// Ended reports whether no further update of the task is expected.
func (s State) Ended() bool { return s == Done || s == Skipped || s == Failed }

// Unit is what Done and Total of an update count.
type Unit string

// The units of progress.
const (
	Items Unit = "items"
	Bytes Unit = "bytes"
)

// Update is one report about one task. The first update of a task starts it.
type Update struct {
	Task   string // unique; updates of the same task replace each other
	Label  string // what a person reads; Task when empty
	State  State
	Detail string // what is being done right now, or why it failed
	Done   int64
	Total  int64 // 0 when it is not known
	Unit   Unit  // Items when empty
}

// Reporter shows updates. All methods are safe for concurrent use.
type Reporter interface {
	// Report shows the update; of quick successions of one task only some may appear, but the
	// one that ends it always does.
	Report(Update)
	// Note shows a line of its own.
	Note(format string, a ...any)
	// Close shows what is still to be shown and gives the output back. Tasks that have not
	// ended disappear from a terminal.
	Close()
}

// Mode chooses how updates are shown.
type Mode int

// The modes; Auto is Live on a terminal and Plain elsewhere.
const (
	Auto Mode = iota
	Live
	Plain
	JSON
)

// New returns a reporter that writes to w. Its clock starts now.
func New(w io.Writer, mode Mode) Reporter {
	return newAt(w, mode, time.Now)
}

func newAt(w io.Writer, mode Mode, now func() time.Time) Reporter {
	if mode == Auto {
		mode = Plain
		if f, ok := w.(*os.File); ok && os.Getenv("TERM") != "dumb" {
			// A terminal without a size, as some programs make them, has no place for live lines.
			if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
				mode = Live
			}
		}
	}
	switch mode {
	case Live:
		return newLive(w, now)
	case JSON:
		return &lines{w: w, now: now, start: now(), json: true, last: map[string]shown{}}
	default:
		return &lines{w: w, now: now, start: now(), last: map[string]shown{}}
	}
}

// label returns what a person reads.
func (u Update) label() string {
	if u.Label != "" {
		return u.Label
	}
	return u.Task
}

// amount says how much is done, or nothing when that is not known.
func (u Update) amount() string {
	switch {
	case u.Done == 0 && u.Total == 0:
		return ""
	case u.Unit == Bytes && u.Total > 0:
		return fmt.Sprintf("%s of %s", size(u.Done), size(u.Total))
	case u.Unit == Bytes:
		return size(u.Done)
	case u.Total > 0:
		return fmt.Sprintf("%d of %d", u.Done, u.Total)
	default:
		return fmt.Sprint(u.Done)
	}
}

// size writes bytes in the binary unit that leaves at least one digit before the point.
func size(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	default:
		return fmt.Sprintf("%d B", n)
	}
}

// took writes a duration as seconds with one digit, or minutes and seconds.
func took(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	d = d.Round(time.Second)
	return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
}
