package signal

import (
	"slices"

	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/agent/redact"
)

// Observe writes the node's conditions to the outbox. They replace earlier ones that have not
// left yet: only the newest tell how the node is, and a node without a control plane must not
// fill its disk with them.
func (o *Outbox) Observe(conditions []protocol.Condition) error {
	conditions, secrets := slices.Clone(conditions), o.secrets()
	for i := range conditions {
		conditions[i].Message = tail(redact.Text(conditions[i].Message, secrets...), maxReason)
	}
	signal := protocol.Signal{Phase: protocol.Observed, Conditions: conditions}
	o.fill(&signal)
	if err := o.journal.EnqueueNewest(signal); err != nil {
		return err
	}
	o.Queued()
	return nil
}
