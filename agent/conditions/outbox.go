package conditions

import (
	"context"
	"time"

	"slipway.build/slipway/agent/protocol"
)

// TypeOutbox is the type of Outbox's condition.
const TypeOutbox = "SignalsWaiting"

// waitLong is the age from which a signal that was not accepted means trouble: the control plane
// is away, or refuses this node.
const waitLong = 5 * time.Minute

// Outbox watches whether what the node reports arrives.
type Outbox struct {
	// Oldest returns when the oldest signal was written that is still to be accepted, the zero
	// time when there is none.
	Oldest func() (time.Time, error)
	Now    func() time.Time
}

// Every implements Source.
func (o *Outbox) Every() time.Duration { return time.Minute }

// Look implements Source.
func (o *Outbox) Look(context.Context) []protocol.Condition {
	oldest, err := o.Oldest()
	if err != nil {
		return []protocol.Condition{finding(TypeOutbox, Unknown, "Unreadable", "%v", err)}
	}
	age := o.Now().Sub(oldest)
	if oldest.IsZero() || age < waitLong {
		return []protocol.Condition{finding(TypeOutbox, False, "Delivered", "signals are accepted by the control plane")}
	}
	return []protocol.Condition{finding(TypeOutbox, True, "NotAccepted", "a signal of %s is not accepted yet; what runs goes on, see the agent's log for why", oldest.UTC().Format(time.DateTime+" MST"))}
}
