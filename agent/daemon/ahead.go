package daemon

import (
	"context"
	"sync"

	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/agent/renewal"
)

// ahead asks a source for its first delivery while the agent is still being set up: the question
// takes a connection and its handshake, the set-up takes a disk. What is delivered waits until
// Next is called, so nothing is applied before what an earlier run left is taken up.
type ahead struct {
	planSource
	cancel context.CancelFunc
	first  chan delivered // holds the first delivery; nil once Next has returned it
	done   chan struct{}
}

type delivered struct {
	delivery protocol.Delivery
	err      error
}

// askAhead begins to ask. The caller must call stop.
func askAhead(ctx context.Context, source planSource) *ahead {
	ctx, cancel := context.WithCancel(ctx)
	a := &ahead{planSource: source, cancel: cancel, first: make(chan delivered, 1), done: make(chan struct{})}
	go func() {
		defer close(a.done)
		delivery, err := source.Next(ctx)
		a.first <- delivered{delivery, err}
	}()
	return a
}

// stop ends a question that is still open, and waits for its end.
func (a *ahead) stop() {
	a.cancel()
	<-a.done
}

// Next implements planSource. It is called by one goroutine.
func (a *ahead) Next(ctx context.Context) (protocol.Delivery, error) {
	if a.first == nil {
		return a.planSource.Next(ctx)
	}
	select {
	case first := <-a.first:
		a.first = nil
		return first.delivery, first.err
	case <-ctx.Done():
		return protocol.Delivery{}, context.Cause(ctx)
	}
}

// refusals passes on that the control plane does not take the node's certificate, from the first
// question on; who renews it is there a little later.
type refusals struct {
	mu      sync.Mutex
	missed  bool
	renewer *renewal.Renewer
}

func (r *refusals) tell() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.renewer == nil {
		r.missed = true
		return
	}
	r.renewer.Refused()
}

func (r *refusals) to(renewer *renewal.Renewer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.renewer = renewer; r.missed {
		renewer.Refused()
	}
}
