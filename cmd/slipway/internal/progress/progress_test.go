package progress

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// clock is a clock that moves only when told.
type clock struct{ t time.Time }

func (c *clock) now() time.Time          { return c.t }
func (c *clock) advance(d time.Duration) { c.t = c.t.Add(d) }

func newClock() *clock { return &clock{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

func TestPlainWritesOneLinePerChange(t *testing.T) {
	var out bytes.Buffer
	c := newClock()
	r := newAt(&out, Plain, c.now)
	r.Report(Update{Task: "etcd", Label: "image etcd", State: Running, Detail: "compile"})
	c.advance(time.Second)
	r.Report(Update{Task: "etcd", Label: "image etcd", State: Running, Detail: "compile", Done: 1, Total: 10})
	c.advance(3 * time.Second)
	r.Report(Update{Task: "etcd", Label: "image etcd", State: Running, Detail: "compile", Done: 5 << 20, Total: 10 << 20, Unit: Bytes})
	c.advance(58 * time.Second)
	r.Report(Update{Task: "etcd", Label: "image etcd", State: Done, Detail: "sha256:abc"})
	r.Report(Update{Task: "etcd", Label: "image etcd", State: Done, Detail: "again"})
	r.Note("that was %d", 1)
	r.Close()
	want := `[   0.0s] image etcd: running: compile
[   4.0s] image etcd: running, 5.0 MiB of 10.0 MiB: compile
[  1m02s] image etcd: done in 1m02s: sha256:abc
that was 1
`
	if out.String() != want {
		t.Errorf("got:\n%swant:\n%s", out.String(), want)
	}
}

func TestJSONLinesDecodeAndCarryTheTimeATaskTook(t *testing.T) {
	var out bytes.Buffer
	c := newClock()
	r := newAt(&out, JSON, c.now)
	r.Report(Update{Task: "a", State: Running})
	c.advance(1500 * time.Millisecond)
	r.Report(Update{Task: "a", State: Failed, Detail: "no space\nleft"})
	r.Note("end")
	var got []line
	d := json.NewDecoder(&out)
	for d.More() {
		var l line
		if err := d.Decode(&l); err != nil {
			t.Fatal(err)
		}
		got = append(got, l)
	}
	if len(got) != 3 {
		t.Fatalf("got %d lines, want 3: %+v", len(got), got)
	}
	if got[1].State != Failed || got[1].Took != 1.5 || got[1].Detail != "no space\nleft" {
		t.Errorf("second line: %+v", got[1])
	}
	if got[2].Note != "end" || got[2].Task != "" {
		t.Errorf("third line: %+v", got[2])
	}
}

func TestLiveLinesNeverExceedTheTerminal(t *testing.T) {
	u := Update{Task: "x", Label: "node k8s-master-0", State: Running, Done: 3, Total: 7, Unit: Items, Detail: strings.Repeat("pulling ", 40)}
	for _, width := range []int{1, 2, 40, 80, 200} {
		got := fit(text(u, 3*time.Second), width)
		if n := len([]rune(got)); n > width {
			t.Errorf("width %d: line has %d cells", width, n)
		}
	}
}

func TestLiveEndedTasksStayAndRunningOnesLeave(t *testing.T) {
	var out bytes.Buffer
	r := New(&out, Live)
	r.Report(Update{Task: "one", State: Running, Detail: "first"})
	r.Report(Update{Task: "two", State: Running, Detail: "never ends"})
	r.Note("a note")
	r.Report(Update{Task: "one", State: Done, Detail: "finished"})
	r.Close()
	if !strings.Contains(out.String(), "finished") || !strings.Contains(out.String(), "a note") {
		t.Errorf("the ended task or the note is missing: %q", out.String())
	}
}

func TestATaskMayBeginAgain(t *testing.T) {
	for _, mode := range []Mode{Live, Plain, JSON} {
		var out bytes.Buffer
		r := New(&out, mode)
		r.Report(Update{Task: "one", State: Done, Detail: "first-end"})
		r.Report(Update{Task: "one", State: Running})
		r.Report(Update{Task: "one", State: Failed, Detail: "second-end"})
		r.Close()
		if !strings.Contains(out.String(), "first-end") || !strings.Contains(out.String(), "second-end") {
			t.Errorf("mode %d: an end is missing: %q", mode, out.String())
		}
	}
}
