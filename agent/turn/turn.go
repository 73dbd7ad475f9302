// Package turn keeps apart what changes the node: a plan being switched to, and remote actions.
// One of them has the turn at a time, and a plan goes ahead.
package turn

import (
	"context"
	"sync"
)

// Turn is held by one at a time. Its zero value is free.
type Turn struct {
	mu     sync.Mutex
	holder string
	yield  func()
	freed  chan struct{} // nil while it is free, closed when it is given back
}

// Try takes the turn when it is free. Otherwise ok is false and holder says, in words, what has
// it. yield, when not nil, is called when somebody waits for the turn. release gives it back and
// may be called more than once.
func (t *Turn) Try(what string, yield func()) (release func(), holder string, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.freed != nil {
		return nil, t.holder, false
	}
	t.holder, t.yield, t.freed = what, yield, make(chan struct{})
	return sync.OnceFunc(t.release), "", true
}

// Wait takes the turn as soon as it is free, as Try does, or returns the cause of ctx's end.
func (t *Turn) Wait(ctx context.Context, what string, yield func()) (release func(), err error) {
	for {
		if release, _, ok := t.Try(what, yield); ok {
			return release, nil
		}
		t.mu.Lock()
		freed, please := t.freed, t.yield
		t.mu.Unlock()
		if freed == nil {
			continue
		}
		if please != nil {
			please()
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (t *Turn) release() {
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.freed)
	t.holder, t.yield, t.freed = "", nil, nil
}
