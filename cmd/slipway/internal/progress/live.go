package progress

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// refresh is how often a terminal is redrawn.
const refresh = 120 * time.Millisecond

// barWidth is the width in cells of the bar of a task whose total is known.
const barWidth = 20

// live keeps one line per running task at the bottom of a terminal; tasks that have ended
// move above it and stay.
type live struct {
	out *mpb.Progress
	now func() time.Time

	mu    sync.Mutex
	tasks map[string]*task
}

// task is one line.
type task struct {
	bar *mpb.Bar

	mu     sync.Mutex
	begun  time.Time
	end    time.Time // zero while it runs
	update Update
}

func newLive(w io.Writer, now func() time.Time) *live {
	return &live{
		out:   mpb.New(mpb.WithOutput(w), mpb.WithRefreshRate(refresh), mpb.PopCompletedMode(), mpb.WithAutoRefresh()),
		now:   now,
		tasks: map[string]*task{},
	}
}

func (l *live) Report(u Update) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t, known := l.tasks[u.Task]
	if known && t.ended() {
		if u.State.Ended() {
			return
		}
		known = false // it begins again: a new line, and the old one stays above
	}
	if !known {
		t = &task{begun: l.now(), update: u}
		l.tasks[u.Task] = t
		t.bar = l.out.MustAdd(0, filler{t, l.now})
	}
	t.mu.Lock()
	t.update = u
	if u.State.Ended() {
		t.end = l.now()
	}
	t.mu.Unlock()
	if u.State.Ended() {
		t.bar.SetTotal(1, true)
	}
}

// ended reports whether the task's last update ended it.
func (t *task) ended() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.update.State.Ended()
}

func (l *live) Note(format string, a ...any) {
	fmt.Fprintf(l.out, format+"\n", a...)
}

func (l *live) Close() {
	l.mu.Lock()
	for _, t := range l.tasks {
		t.bar.Abort(true)
	}
	l.mu.Unlock()
	l.out.Wait()
}

// filler draws the whole line of a task.
type filler struct {
	task *task
	now  func() time.Time
}

// Fill implements mpb.BarFiller.
func (f filler) Fill(w io.Writer, s decor.Statistics) error {
	f.task.mu.Lock()
	u, begun, end := f.task.update, f.task.begun, f.task.end
	f.task.mu.Unlock()
	if end.IsZero() {
		end = f.now()
	}
	_, err := io.WriteString(w, fit(text(u, end.Sub(begun)), s.AvailableWidth))
	return err
}

// marks of the states at the beginning of a line.
func mark(s State) string {
	switch s {
	case Done:
		return "✓"
	case Skipped:
		return "–"
	case Failed:
		return "✗"
	default:
		return "·"
	}
}

func text(u Update, elapsed time.Duration) string {
	parts := []string{fmt.Sprintf("%s %-24s %7s", mark(u.State), u.label(), took(elapsed))}
	if u.State == Running && u.Total > 0 {
		full := min(int(u.Done*barWidth/u.Total), barWidth)
		parts = append(parts, strings.Repeat("█", full)+strings.Repeat("░", barWidth-full))
	}
	if a := u.amount(); a != "" {
		parts = append(parts, a)
	}
	if u.Detail != "" {
		parts = append(parts, strings.Join(strings.Fields(u.Detail), " "))
	}
	return strings.Join(parts, "  ")
}

// fit cuts a line to the terminal's width, so that it never wraps.
func fit(line string, width int) string {
	if width <= 0 || utf8.RuneCountInString(line) <= width {
		return line
	}
	runes := []rune(line)
	if width == 1 {
		return "…"
	}
	return string(runes[:width-1]) + "…"
}
