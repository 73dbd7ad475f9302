package act

import (
	"context"
	"fmt"

	"slipway.build/slipway/agent/action"
	"slipway.build/slipway/agent/protocol"
)

// Checker looks at one side of the node, now. An error means that it could not look.
type Checker func(ctx context.Context) ([]protocol.ActionResult, error)

// Check runs checks. The action is done when all could be run, whatever they found.
type Check struct{ Checkers map[action.CheckName]Checker }

// Do implements Doer.
func (d *Check) Do(ctx context.Context, job Job) (Outcome, error) {
	var outcome Outcome
	for _, name := range job.Request.Arguments.Checks {
		look := d.Checkers[name]
		if look == nil {
			outcome.Results = append(outcome.Results, protocol.ActionResult{Name: string(name), Status: protocol.ResultUnknown, Message: "this agent cannot check it"})
			continue
		}
		found, err := look(ctx)
		if ctx.Err() != nil {
			return outcome, fmt.Errorf("check %s: %w", name, context.Cause(ctx))
		}
		if err != nil {
			found = append(found, protocol.ActionResult{Status: protocol.ResultUnknown, Message: err.Error()})
		}
		for _, result := range found {
			if result.Name == "" {
				result.Name = string(name)
			} else {
				result.Name = string(name) + ": " + result.Name
			}
			outcome.Results = append(outcome.Results, result)
		}
	}
	return outcome, nil
}
