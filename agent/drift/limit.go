package drift

import "time"

// Bounds on what somebody who changes things again and again can make us do: after that many
// repairs of one thing, or restarts of one unit, in a window, it is left until the window has passed.
const (
	window      = 10 * time.Minute
	mostRepairs = 10
	mostStarts  = 3
)

// limiter counts by name. Its zero value has counted nothing.
type limiter struct {
	repairs  map[string][]time.Time
	restarts map[string][]time.Time
}

func (l *limiter) contested(path string, now time.Time) bool {
	return recent(l.repairs[path], now) >= mostRepairs
}

func (l *limiter) note(path string, now time.Time) { l.repairs = add(l.repairs, path, now) }

func (l *limiter) stormy(unit string, now time.Time) bool {
	return recent(l.restarts[unit], now) >= mostStarts
}

func (l *limiter) noteRestart(unit string, now time.Time) { l.restarts = add(l.restarts, unit, now) }

func recent(times []time.Time, now time.Time) int {
	count := 0
	for _, at := range times {
		if now.Sub(at) < window {
			count++
		}
	}
	return count
}

// add notes a time, and forgets those that do not count any more.
func add(all map[string][]time.Time, name string, now time.Time) map[string][]time.Time {
	if all == nil {
		all = map[string][]time.Time{}
	}
	times := append([]time.Time{now}, all[name]...)
	all[name] = times[:recent(times, now)]
	return all
}
