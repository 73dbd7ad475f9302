package nodeapi

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// limiter bounds how often something may be done under one name within a window. It is safe for
// concurrent use.
type limiter struct {
	most   int
	window time.Duration
	now    func() time.Time

	mu    sync.Mutex
	began time.Time // of the window
	count map[string]int
}

// newLimiter allows most calls within a window for each name.
func newLimiter(most int, window time.Duration, now func() time.Time) *limiter {
	return &limiter{most: most, window: window, now: now, count: map[string]int{}}
}

// maxNames bounds the names of one window: more at the same time is an attack, and refused.
const maxNames = 100_000

// allow counts a call and reports whether it may go on.
func (l *limiter) allow(name string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if since := l.now().Sub(l.began); since < 0 || since >= l.window {
		l.began, l.count = l.now(), map[string]int{}
	}
	if _, known := l.count[name]; !known && len(l.count) >= maxNames {
		return false
	}
	l.count[name]++
	return l.count[name] <= l.most
}

// The bounds of renewals in a minute: of one node from one address, and from one address, behind
// which a whole cluster may be.
const (
	maxRenewals     = 20
	maxPeerRenewals = 1200
)

// peerOf is the address of the caller without its port.
func peerOf(r *http.Request) string {
	peer, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return peer
}
