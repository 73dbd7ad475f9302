package testplane

import (
	"context"
	"crypto/ecdsa"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"

	"slipway.build/slipway/agent/action"
	"slipway.build/slipway/agent/protocol"
)

// acts are the remote actions of the node.
type acts struct {
	number    uint64
	delivered []protocol.ActionDelivery
	replayed  []protocol.ActionDelivery
	archives  map[string][]byte
	lock      []byte // that comes with actions, and its signature
	signature []byte
}

// Act asks the node for an action, which change may alter before it is signed, and returns the
// request.
func (p *Plane) Act(ctx context.Context, node string, kind action.Kind, arguments action.Arguments, change func(*action.Request)) *action.Request {
	p.t.Helper()
	return p.ActSignedBy(ctx, p.PlanKey, node, kind, arguments, change)
}

// ActSignedBy is Act with a key of the test's choice.
func (p *Plane) ActSignedBy(ctx context.Context, key *ecdsa.PrivateKey, node string, kind action.Kind, arguments action.Arguments, change func(*action.Request)) *action.Request {
	p.t.Helper()
	p.mu.Lock()
	p.acts.number++
	request := &action.Request{
		Schema: action.Schema, ID: uuid.NewString(), Node: node, Number: p.acts.number, Kind: kind, Arguments: arguments,
		Actor: "user:tester", Issued: time.Now().UTC(), Expires: time.Now().UTC().Add(5 * time.Minute),
	}
	p.mu.Unlock()
	if change != nil {
		change(request)
	}
	envelope, err := action.Seal(ctx, request, key)
	p.check(err)
	p.Deliver(protocol.ActionDelivery{Envelope: envelope})
	return request
}

// Deliver has the node get an action as it is, beside all that came before.
func (p *Plane) Deliver(delivery protocol.ActionDelivery) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if delivery.LockBytes == nil {
		delivery.LockBytes, delivery.LockSignature = p.acts.lock, p.acts.signature
	}
	p.acts.delivered = append(p.acts.delivered, delivery)
	p.news()
}

// Replay has the node get an action once more, whatever it has told of it.
func (p *Plane) Replay(request *action.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, one := range p.acts.delivered {
		if action.ClaimOf(one.Envelope) == request.ID {
			p.acts.replayed = append(p.acts.replayed, one)
			break
		}
	}
	p.news()
}

// begun reports whether the node has told anything of an action; the caller holds the lock.
func (p *Plane) begun(id string) bool {
	return slices.ContainsFunc(p.signals, func(s protocol.Signal) bool { return s.Action != nil && s.Action.ID == id })
}

// withActions returns the delivery with the actions that the node has not begun, and its ETag; the
// caller holds the lock.
func (p *Plane) withActions() (*protocol.Delivery, string) {
	if len(p.acts.delivered) == 0 {
		return p.delivery, p.etag
	}
	var delivery protocol.Delivery
	if p.delivery != nil {
		delivery = *p.delivery
	}
	for _, one := range p.acts.delivered {
		if !p.begun(action.ClaimOf(one.Envelope)) {
			delivery.Actions = append(delivery.Actions, one)
		}
	}
	delivery.Actions = append(delivery.Actions, p.acts.replayed...)
	return &delivery, fmt.Sprintf("%s/%d", p.etag, len(p.acts.delivered)+len(p.acts.replayed))
}

// AwaitAction waits for an answer to the action with that status. It fails the test when another
// end of it comes instead, or ctx ends.
func (p *Plane) AwaitAction(ctx context.Context, id string, status protocol.ActionStatus) protocol.Signal {
	p.t.Helper()
	for {
		p.mu.Lock()
		changed := p.changed
		var last protocol.Signal
		for _, signal := range p.signals {
			if signal.Action == nil || signal.Action.ID != id {
				continue
			}
			last = signal
			if signal.Action.Status == status {
				p.mu.Unlock()
				return signal
			}
			if signal.Action.Status != protocol.ActionStarted && status == protocol.ActionDone {
				p.mu.Unlock()
				p.t.Fatalf("action %s %s: %s\n%s", id, signal.Action.Status, signal.Reason, signal.Log)
			}
		}
		p.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			p.t.Fatalf("no answer %s to action %s: %v; the last one: %+v", status, id, ctx.Err(), last)
		}
	}
}

// Answers returns the statuses that the node has told of an action, without its progress.
func (p *Plane) Answers(id string) []protocol.ActionStatus {
	var out []protocol.ActionStatus
	for _, signal := range p.Signals() {
		if signal.Action != nil && signal.Action.ID == id && signal.Progress == nil {
			out = append(out, signal.Action.Status)
		}
	}
	return out
}

// Archive returns the support archive of an action, nil when none came.
func (p *Plane) Archive(id string) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.acts.archives[id]
}

func (p *Plane) archive(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(io.LimitReader(r.Body, protocol.MaxArchive))
	if err != nil {
		refuse(w, http.StatusBadRequest, "body", false)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.acts.archives == nil {
		p.acts.archives = map[string][]byte{}
	}
	p.acts.archives[r.PathValue("action")] = raw
	w.WriteHeader(http.StatusNoContent)
}

// Announced has later actions come with that lock, though no plan has brought it.
func (p *Plane) Announced(lock, signature []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.acts.lock, p.acts.signature = lock, signature
}
