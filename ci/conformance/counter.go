package conformance

import (
	"bytes"
	"regexp"
	"strconv"
	"time"
)

// counter follows what ginkgo prints and reports how far it is, at most once a second and at
// every failure.
type counter struct {
	report func(Progress)
	total  int
	begun  time.Time

	line         []byte
	done, failed int
	last         time.Time
}

var (
	willRun = regexp.MustCompile(`^Will run (\d{1,6}) of \d+ specs`)
	// A test's line: a bullet, its state unless it passed, and how long it took.
	finished = regexp.MustCompile(`^• (?:\[([A-Z!]+)\] )?\[\d+\.\d+ seconds\]`)
)

// maxLine bounds how much of one line is kept.
const maxLine = 4 << 10

// Write takes output in whatever pieces; it never fails.
func (c *counter) Write(p []byte) (int, error) {
	n := len(p)
	for {
		head, rest, whole := bytes.Cut(p, []byte{'\n'})
		if room := maxLine - len(c.line); room > 0 {
			c.line = append(c.line, head[:min(len(head), room)]...)
		}
		if !whole {
			return n, nil
		}
		c.take(string(c.line))
		c.line, p = c.line[:0], rest
	}
}

func (c *counter) take(line string) {
	if m := willRun.FindStringSubmatch(line); m != nil {
		c.total, _ = strconv.Atoi(m[1])
		c.tell("the tests begin", true)
		return
	}
	m := finished.FindStringSubmatch(line)
	if m == nil {
		return
	}
	c.done++
	if m[1] != "" {
		c.failed++
	}
	c.tell("", m[1] != "")
}

func (c *counter) tell(text string, now bool) {
	if t := time.Now(); now || t.Sub(c.last) >= time.Second {
		c.last = t
		c.report(Progress{Step: "tests", Text: text, Done: c.done, Failed: c.failed, Total: c.total, Elapsed: t.Sub(c.begun)})
	}
}

func (c *counter) end() { c.tell("the tests have ended", true) }
