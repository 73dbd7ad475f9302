// Package coalesce runs one function for many callers: whoever asks while a run is under way
// waits for one further run together with all others who asked, so that a burst of changes
// costs two runs and still nobody returns before a run that began after his change.
package coalesce

import (
	"context"
	"sync"
	"time"
)

// runLimit ends a run that hangs. The run does not end with the context of the caller on
// whose goroutine it happens, because others wait for it too.
const runLimit = time.Minute

// Group is a set of keys, each with at most one run at a time. The zero value is ready.
type Group struct {
	mu   sync.Mutex
	keys map[string]*key
}

type key struct {
	turn  chan struct{} // holds one token while a run is under way
	next  *batch        // the callers of the run that has not begun yet
	users int
}

type batch struct {
	done chan struct{}
	err  error
}

// Do returns when a run of fn that began after the call has ended, with that run's error. The
// run happens on the goroutine of one of its callers. A caller whose context ends goes away
// early with the context's error.
func (g *Group) Do(ctx context.Context, name string, fn func(context.Context) error) error {
	k, b := g.join(name)
	defer g.leave(name)
	select {
	case <-b.done:
		return b.err
	case <-ctx.Done():
		return ctx.Err()
	case k.turn <- struct{}{}:
	}
	defer func() { <-k.turn }()
	select {
	case <-b.done: // another caller of the batch was first
		return b.err
	default:
	}
	g.mu.Lock()
	k.next = nil
	g.mu.Unlock()
	run, cancel := context.WithTimeout(context.WithoutCancel(ctx), runLimit)
	defer cancel()
	b.err = fn(run)
	close(b.done)
	return b.err
}

func (g *Group) join(name string) (*key, *batch) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.keys == nil {
		g.keys = map[string]*key{}
	}
	k := g.keys[name]
	if k == nil {
		k = &key{turn: make(chan struct{}, 1)}
		g.keys[name] = k
	}
	k.users++
	if k.next == nil {
		k.next = &batch{done: make(chan struct{})}
	}
	return k, k.next
}

func (g *Group) leave(name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if k := g.keys[name]; k.users > 1 {
		k.users--
	} else {
		delete(g.keys, name)
	}
}
