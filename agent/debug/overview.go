package debug

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/status"
	"slipway.build/slipway/units/drive"
)

// UnitState is one unit of the plan and how it is.
type UnitState struct {
	Name  string `json:"name"`
	State string `json:"state"`
	Image string `json:"image,omitempty"`
	// Text is what the unit said of itself last.
	Text string `json:"text,omitempty"`
}

// Overview is the answer of `slipway-agent status`.
type Overview struct {
	Agent   *status.Status `json:"agent,omitempty"` // nil when it never ran since the boot
	Current uint64         `json:"current"`         // generation, 0 for none
	Node    *plan.Node     `json:"node,omitempty"`
	Units   []UnitState    `json:"units,omitempty"`
}

// Overview tells what the agent does and how the current generation's units are.
func (n *Node) Overview(ctx context.Context) (*Overview, error) {
	out := &Overview{}
	if s, err := status.Read(n.StatusFile); err == nil {
		out.Agent = s
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the agent's status: %w", err)
	}
	g, err := n.current()
	if err != nil || g == nil {
		return out, err
	}
	out.Current, out.Node = g.Number, &g.Plan.Node
	for _, unit := range g.Plan.Units {
		state := UnitState{Name: unit.Name}
		if unit.Exec != nil {
			state.Image = unit.Exec.Image
		}
		if s, err := n.Systemd.Status(ctx, unit.Name); err != nil {
			state.State, state.Text = "unknown", err.Error()
		} else {
			state.State, state.Text = inWords(s.State), s.Text
		}
		out.Units = append(out.Units, state)
	}
	return out, nil
}

func inWords(s drive.State) string {
	switch {
	case s.Load != "loaded" && s.Load != "":
		return s.Load + ", " + s.Active
	case s.Sub == "":
		return s.Active
	default:
		return s.Active + " (" + s.Sub + ")"
	}
}
