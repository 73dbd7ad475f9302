package nodeapi

import (
	"net/http"
	"sync"
	"time"
)

// clock compares the control plane's clock with ours at each answer, by its Date header. The
// answer came over TLS from who we believe plans from, so its time is as good as its word.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration
	at    time.Time
}

// dateStep is the resolution of the Date header (RFC 9110): what it says is half of it early in
// the mean.
const dateStep = time.Second

// compare takes the time of an answer whose head has just arrived; the time that it was under
// way is within the resolution.
func (c *clock) compare(resp *http.Response) {
	date, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return
	}
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead, c.at = now.Round(0).Sub(date.Add(dateStep/2)), now
}

// Clock returns by how much our clock was ahead of the control plane's at its last answer,
// within how much that is right, and when that was, with the monotonic clock's reading. at is
// zero before the first answer.
func (c *Client) Clock() (ahead, within time.Duration, at time.Time) {
	c.clock.mu.Lock()
	defer c.clock.mu.Unlock()
	return c.clock.ahead, dateStep, c.clock.at
}
