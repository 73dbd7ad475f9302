package mirror

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Cooling down begins with firstCool after one failure and doubles up to maxCool; who served
// wrong bytes cools for maxCool at once.
const (
	firstCool = 500 * time.Millisecond
	maxCool   = time.Minute
)

// assumedRate is what a registry is thought to deliver, in bytes a second, until it has shown
// what it does: one that is slower than half of this lets the next one try.
const assumedRate = 1 << 20

// Set is the registries of one pull, in the plan's order. It may be used by several goroutines.
type Set struct {
	// Client is used for all requests.
	Client *http.Client
	// Stall is how long a body may send nothing before the connection is dropped and the rest
	// fetched elsewhere; 20 s when zero.
	Stall time.Duration
	// Pace slows all reads together down; nil for none.
	Pace *Pace

	mu      sync.Mutex
	mirrors []*mirror
}

// mirror is one registry and what is known of it; the set's lock guards all but base.
type mirror struct {
	base     string
	failures int       // in a row
	coolTill time.Time // not asked first until then
	rate     float64   // bytes a second, smoothed; 0 when not measured
	noRanges bool      // answered a range request with an error
}

// NewSet returns the set of the registries with these base URLs.
func NewSet(client *http.Client, bases []string) *Set {
	s := &Set{Client: client}
	for _, base := range bases {
		s.mirrors = append(s.mirrors, &mirror{base: strings.TrimSuffix(base, "/")})
	}
	return s
}

// ranked returns the mirrors in the order in which they should be asked now, without those in
// avoid: those that do not cool down first, much faster ones before slower ones, and otherwise as
// in the plan. Those that cool down follow by the end of it.
func (s *Set) ranked(now time.Time, avoid map[*mirror]bool) []*mirror {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ready, cooling []*mirror
	for _, m := range s.mirrors {
		switch {
		case avoid[m]:
		case m.coolTill.After(now):
			cooling = append(cooling, m)
		default:
			// Insert before the first that is less than half as fast.
			at := slices.IndexFunc(ready, func(other *mirror) bool { return 2*other.speed() < m.speed() })
			if at < 0 {
				at = len(ready)
			}
			ready = slices.Insert(ready, at, m)
		}
	}
	slices.SortStableFunc(cooling, func(a, b *mirror) int { return a.coolTill.Compare(b.coolTill) })
	return append(ready, cooling...)
}

func (m *mirror) speed() float64 {
	if m.rate == 0 {
		return assumedRate
	}
	return m.rate
}

// failed lets a mirror cool down; wrong says that it served wrong bytes.
func (s *Set) failed(m *mirror, wrong bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	cool := maxCool
	if !wrong && m.failures < 7 {
		cool = firstCool << m.failures
	}
	m.failures++
	m.coolTill = time.Now().Add(cool)
}

// measured is what a reader tells of a mirror that works: n bytes in that time.
func (s *Set) measured(m *mirror, n int64, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m.failures, m.coolTill = 0, time.Time{}
	if n < 256<<10 && took < time.Second {
		return // says more about latency than about speed
	}
	rate := float64(n) / max(took.Seconds(), 1e-6)
	if m.rate == 0 {
		m.rate = rate
	} else {
		m.rate += (rate - m.rate) / 4
	}
}

func (s *Set) stall() time.Duration {
	if s.Stall > 0 {
		return s.Stall
	}
	return 20 * time.Second
}
