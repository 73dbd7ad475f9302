package mirror

import (
	"fmt"
	"io"
	"time"
)

// guarded fails a read that waits longer than limit, by closing the body under it.
type guarded struct {
	body  io.ReadCloser
	limit time.Duration
	timer *time.Timer
}

func newGuarded(body io.ReadCloser, limit time.Duration) *guarded {
	return &guarded{body: body, limit: limit}
}

// StalledError says that a body sent nothing for that long.
type StalledError struct{ After time.Duration }

func (e StalledError) Error() string { return fmt.Sprintf("no byte for %s", e.After) }

func (g *guarded) Read(p []byte) (int, error) {
	if g.timer == nil {
		g.timer = time.AfterFunc(g.limit, func() { _ = g.body.Close() })
	} else {
		g.timer.Reset(g.limit)
	}
	n, err := g.body.Read(p)
	if !g.timer.Stop() && err != nil && err != io.EOF {
		err = StalledError{g.limit}
	}
	return n, err
}

func (g *guarded) close() {
	if g.timer != nil {
		g.timer.Stop()
	}
	_ = g.body.Close()
}
