package join

import (
	"context"
	"fmt"
	"slices"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
)

// keptDropped is how many dropped plan keys are remembered.
const keptDropped = 8

// LearnPlanKeys takes statements of plan keys, the oldest first, that this node does not know yet.
// Each has to be signed by a key that is believed before it; then its keys, and no others, are, and
// that is durable before LearnPlanKeys returns. A statement that cannot be believed is a terminal
// error.
func (i *Identity) LearnPlanKeys(ctx context.Context, statements [][]byte) error {
	for _, envelope := range statements {
		i.mu.Lock()
		known, keys := i.joined.Response.PlanKeysNumber, i.joined.Response.PlanKeys
		i.mu.Unlock()
		if number := plan.KeysNumber(envelope); number != 0 && number <= known {
			continue
		}
		set, err := plan.OpenKeys(ctx, envelope, keys)
		if err != nil {
			return fmt.Errorf("after statement %d of plan keys: %w", known, err)
		}
		if err := i.change(func(j *joined) { j.replaceKeys(set) }); err != nil {
			return fmt.Errorf("learn statement %d of plan keys: %w", set.Number, err)
		}
	}
	return nil
}

func (j *joined) replaceKeys(set protocol.PlanKeySet) {
	var dropped []protocol.PlanKey
	for _, key := range append(slices.Clone(j.Dropped), j.Response.PlanKeys...) {
		if !slices.Contains(set.Keys, key) && !slices.Contains(dropped, key) {
			dropped = append(dropped, key)
		}
	}
	j.Dropped = dropped[max(0, len(dropped)-keptDropped):]
	j.Response.PlanKeys, j.Response.PlanKeysNumber = set.Keys, set.Number
}
