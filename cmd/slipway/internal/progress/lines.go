package progress

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"
)

// quiet is how long a running task is not shown again while only its amount changes.
const quiet = 2 * time.Second

// shown is what was last written of a task.
type shown struct {
	begun  time.Time
	at     time.Time
	update Update
}

// lines writes one line per change: plain text or JSON.
type lines struct {
	mu    sync.Mutex
	w     io.Writer
	now   func() time.Time
	start time.Time
	json  bool
	last  map[string]shown
}

// line is the JSON form of an update or note.
type line struct {
	Time    time.Time `json:"time"`
	Seconds float64   `json:"seconds"` // since the command began
	Task    string    `json:"task,omitempty"`
	Label   string    `json:"label,omitempty"`
	State   State     `json:"state,omitempty"`
	Detail  string    `json:"detail,omitempty"`
	Done    int64     `json:"done,omitempty"`
	Total   int64     `json:"total,omitempty"`
	Unit    Unit      `json:"unit,omitempty"`
	Took    float64   `json:"took,omitempty"` // seconds, once the task has ended
	Note    string    `json:"note,omitempty"`
}

func (l *lines) Report(u Update) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	before, known := l.last[u.Task]
	if !known {
		before.begun = now
	}
	if known {
		if u == before.update || before.update.State.Ended() && u.State == before.update.State {
			return
		}
		same := before.update.State == u.State && before.update.Detail == u.Detail
		if same && now.Sub(before.at) < quiet {
			return
		}
	}
	l.last[u.Task] = shown{begun: before.begun, at: now, update: u}
	elapsed := now.Sub(before.begun)
	if l.json {
		out := line{Time: now.UTC(), Seconds: now.Sub(l.start).Seconds(), Task: u.Task, Label: u.label(),
			State: u.State, Detail: u.Detail, Done: u.Done, Total: u.Total, Unit: u.Unit}
		if u.State.Ended() {
			out.Took = elapsed.Seconds()
		}
		l.encode(out)
		return
	}
	text := fmt.Sprintf("[%7s] %s: %s", took(now.Sub(l.start)), u.label(), u.State)
	if u.State.Ended() {
		text += " in " + took(elapsed)
	}
	if a := u.amount(); a != "" {
		text += ", " + a
	}
	if u.Detail != "" {
		text += ": " + u.Detail
	}
	fmt.Fprintln(l.w, text)
}

func (l *lines) Note(format string, a ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := fmt.Sprintf(format, a...)
	if l.json {
		now := l.now()
		l.encode(line{Time: now.UTC(), Seconds: now.Sub(l.start).Seconds(), Note: text})
		return
	}
	fmt.Fprintln(l.w, text)
}

func (l *lines) Close() {}

func (l *lines) encode(v line) {
	b, err := json.Marshal(v)
	if err != nil {
		return // no field of line can fail to encode
	}
	l.w.Write(append(b, '\n'))
}
