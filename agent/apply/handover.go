package apply

import (
	"context"
	"fmt"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/protocol"
)

// handOver ends the application here when the generation that is current now wants another
// program in the agent's place: systemd starts that one, and it goes on by the journal.
func (t *transition) handOver() error {
	if t.Self == nil {
		return nil
	}
	differs, err := t.Self.Differs(t.Generations.Current())
	if err != nil {
		return err
	}
	if differs {
		return ErrRestart
	}
	return nil
}

// contact waits, in a generation that brings an agent of its own, until the control plane has
// answered that agent: one that cannot be reached must not stay.
func (t *transition) contact(ctx context.Context) error {
	if t.Self == nil || t.checked.Plan.Agent == nil {
		return nil
	}
	select {
	case <-t.Contact:
		return nil
	default:
		t.progress(protocol.Switched, protocol.Progress{Waiting: "the control plane's answer to the new agent"})
	}
	select {
	case <-t.Contact:
		return nil
	case <-ctx.Done():
		return fault.Terminalf("the agent of image %s has no contact with the control plane: %w", t.checked.Plan.Agent.Image, context.Cause(ctx))
	}
}

// proven ends the trial of the program that has confirmed its own generation.
func (t *transition) proven() error {
	if t.Self == nil {
		return nil
	}
	if err := t.Self.Working(true); err != nil {
		return fmt.Errorf("the generation is confirmed, but the trial of its agent is not: %w", err)
	}
	return nil
}
