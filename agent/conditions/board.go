package conditions

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"slipway.build/slipway/agent/protocol"
)

// The three values of a condition's Status. True means trouble.
const (
	True    = "True"
	False   = "False"
	Unknown = "Unknown"
)

// Source is one thing that is watched by looking at it. A source is asked by one goroutine.
type Source interface {
	// Every is the time between two looks.
	Every() time.Duration
	// Look returns all conditions of the source as they are now, without Since. It should take
	// milliseconds and honour ctx, which ends after a few seconds.
	Look(ctx context.Context) []protocol.Condition
}

// Audience is told about the node's conditions, always all of them.
type Audience struct {
	// Show is called when anything changed, figures in messages included.
	Show func([]protocol.Condition)
	// Looked, unless nil, is called after each round of looks.
	Looked func()
	// Report is called when a status or a reason changed, or Repeat after the last time. An
	// error means: to be reported later.
	Report func([]protocol.Condition) error
}

const (
	// Rhythm is the shortest time between two looks; all looks fall on its multiples, so that
	// the node wakes up once for several sources.
	Rhythm = 10 * time.Second
	// Repeat is the longest time between two reports.
	Repeat = 10 * time.Minute
	// agree is how many looks in a row must agree before a condition changes. What differs from
	// what stands is looked at again after Rhythm.
	agree = 3
	// patience bounds the looks of one source.
	patience = 5 * time.Second
)

// Board holds the conditions of a node and who looks at them.
type Board struct {
	audience Audience
	log      *slog.Logger
	wake     chan struct{}

	mu       sync.Mutex
	watched  []*watched
	earlier  map[string]protocol.Condition // by type
	standing map[string]protocol.Condition // by type
	stale    bool                          // something changed since Show
	changed  bool                          // something that counts changed since Report
	reported time.Time
}

// watched is one source and its doubts about what stands.
type watched struct {
	source Source
	next   time.Time
	types  []string         // that its last look returned
	doubts map[string]doubt // by type
}

// doubt is a change that is not believed yet.
type doubt struct {
	status, reason string
	seen           int
}

// New returns a board. earlier are the conditions of before a restart of the agent, if they are
// known: what is still as it was keeps its Since.
func New(earlier []protocol.Condition, audience Audience, log *slog.Logger) *Board {
	b := &Board{
		audience: audience, log: log, wake: make(chan struct{}, 1),
		earlier: map[string]protocol.Condition{}, standing: map[string]protocol.Condition{},
	}
	for _, condition := range earlier {
		b.earlier[condition.Type] = condition
	}
	return b
}

// Add has a source looked at, beginning one Rhythm after Run began.
func (b *Board) Add(source Source) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.watched = append(b.watched, &watched{source: source, doubts: map[string]doubt{}})
}

// Set changes conditions at once, for somebody who knows without looking. It may be called from
// any goroutine; Since is filled in. The report leaves at once when status or reason changed.
func (b *Board) Set(conditions ...protocol.Condition) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, condition := range conditions {
		b.stand(condition)
	}
	if b.changed {
		select {
		case b.wake <- struct{}{}:
		default:
		}
	}
}

// Conditions returns what stands, by type.
func (b *Board) Conditions() []protocol.Condition {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sorted()
}

func (b *Board) sorted() []protocol.Condition {
	out := make([]protocol.Condition, 0, len(b.standing))
	for _, condition := range b.standing {
		out = append(out, condition)
	}
	slices.SortFunc(out, func(a, b protocol.Condition) int { return strings.Compare(a.Type, b.Type) })
	return out
}

// Run looks and reports until ctx ends.
func (b *Board) Run(ctx context.Context) error {
	timer := time.NewTimer(Rhythm)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-b.wake:
		case now := <-timer.C:
			timer.Reset(b.look(ctx, now))
		}
		b.tell()
		if b.audience.Looked != nil {
			b.audience.Looked()
		}
	}
}

// look asks the sources that are due and returns when the next one is.
func (b *Board) look(ctx context.Context, now time.Time) time.Duration {
	b.mu.Lock()
	all := slices.Clone(b.watched)
	b.mu.Unlock()
	next := Repeat
	for _, w := range all {
		// Half a beat early is on time: timers are late by a little, never early.
		if w.next.Sub(now) < Rhythm/2 {
			bounded, cancel := context.WithTimeout(ctx, patience)
			seen := w.source.Look(bounded)
			cancel()
			if ctx.Err() != nil {
				return Rhythm
			}
			w.next = now.Add(max(w.source.Every(), Rhythm).Truncate(Rhythm))
			if b.weigh(w, seen) {
				w.next = now.Add(Rhythm)
			}
		}
		next = min(next, w.next.Sub(now))
	}
	return max(next, time.Second)
}

// weigh compares what a source saw with what stands, and is true when it should look again soon.
func (b *Board) weigh(w *watched, seen []protocol.Condition) (again bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var types []string
	for _, condition := range seen {
		types = append(types, condition.Type)
		stands, known := b.standing[condition.Type]
		// What is well may be believed at once.
		if (!known && condition.Status == False) || (known && stands.Status == condition.Status && stands.Reason == condition.Reason) {
			delete(w.doubts, condition.Type)
			b.stand(condition)
			continue
		}
		d := w.doubts[condition.Type]
		if d.status != condition.Status || d.reason != condition.Reason {
			d = doubt{status: condition.Status, reason: condition.Reason}
		}
		if d.seen++; d.seen >= agree {
			delete(w.doubts, condition.Type)
			b.stand(condition)
			continue
		}
		w.doubts[condition.Type] = d
		again = true
	}
	for _, name := range w.types {
		if !slices.Contains(types, name) { // there is nothing to watch any more
			delete(b.standing, name)
			delete(w.doubts, name)
			b.stale, b.changed = true, true
		}
	}
	w.types = types
	return again
}

// stand makes a condition the one that stands.
func (b *Board) stand(condition protocol.Condition) {
	stands, known := b.standing[condition.Type]
	if !known {
		stands = b.earlier[condition.Type]
	}
	condition.Since = stands.Since
	if stands.Status != condition.Status {
		condition.Since = time.Now().UTC().Truncate(time.Second)
		b.log.Info("condition", "type", condition.Type, "status", condition.Status, "reason", condition.Reason, "message", condition.Message)
	}
	if !known || stands.Status != condition.Status || stands.Reason != condition.Reason {
		b.changed = true
	}
	if !known || stands != condition {
		b.stale = true
	}
	b.standing[condition.Type] = condition
}

// tell shows and reports what is due.
func (b *Board) tell() {
	b.mu.Lock()
	now := time.Now()
	show := b.stale
	report := b.changed || (len(b.standing) > 0 && now.Sub(b.reported) >= Repeat-Rhythm/2)
	b.stale = false
	if report {
		b.changed, b.reported = false, now
	}
	all := b.sorted()
	b.mu.Unlock()
	if show {
		b.audience.Show(all)
	}
	if !report {
		return
	}
	if err := b.audience.Report(all); err != nil {
		b.log.Warn("the node's conditions are not reported, trying again", "error", err)
		b.mu.Lock()
		b.changed = true
		b.mu.Unlock()
	}
}

// finding makes a condition of a source; the format is fmt.Sprintf's.
func finding(name, status, reason, format string, a ...any) protocol.Condition {
	return protocol.Condition{Type: name, Status: status, Reason: reason, Message: fmt.Sprintf(format, a...)}
}
