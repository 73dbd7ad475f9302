package debug

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"slipway.build/slipway/agent/generation"
	"slipway.build/slipway/agent/join"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/pull"
	"slipway.build/slipway/agent/status"
	"slipway.build/slipway/agent/trust"
	"slipway.build/slipway/units/drive"
)

// Node is a node as seen from its own disk.
type Node struct {
	Root       string
	TrustDir   string
	BakedLock  string
	StatusFile string
	Systemd    drive.Driver
	Logs       func(ctx context.Context, unit string, lines int) string
}

// UnitState is one unit of the plan and how it is.
type UnitState struct {
	Name  string `json:"name"`
	State string `json:"state"`
	Image string `json:"image,omitempty"`
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
	names := make([]string, len(g.Plan.Units))
	for i, unit := range g.Plan.Units {
		names[i] = unit.Name
	}
	states, err := n.Systemd.States(ctx, names)
	if err != nil {
		return nil, err
	}
	for _, unit := range g.Plan.Units {
		state := UnitState{Name: unit.Name, State: states[unit.Name].Active + " (" + states[unit.Name].Sub + ")"}
		if unit.Exec != nil {
			state.Image = unit.Exec.Image
		}
		out.Units = append(out.Units, state)
	}
	return out, nil
}

// Plan returns the current generation's plan, nil when there is none.
func (n *Node) Plan() (*plan.Plan, error) {
	g, err := n.current()
	if err != nil || g == nil {
		return nil, err
	}
	return g.Plan, nil
}

func (n *Node) store() *generation.Store {
	return &generation.Store{Root: n.Root, Images: &pull.Store{Dir: filepath.Join(n.Root, "images")}}
}

func (n *Node) current() (*generation.Generation, error) {
	number, err := n.store().CurrentNumber()
	if err != nil || number == 0 {
		return nil, err
	}
	return n.store().Load(number)
}

// checked verifies the current generation's delivery again, offline.
func (n *Node) checked(ctx context.Context) (*trust.Checked, error) {
	number, err := n.store().CurrentNumber()
	if err != nil {
		return nil, err
	}
	if number == 0 {
		return nil, errors.New("there is no current generation")
	}
	delivery, err := n.store().Delivery(number)
	if err != nil {
		return nil, err
	}
	identity, err := join.Load(filepath.Join(n.Root, "state", "identity"))
	if err != nil {
		return nil, err
	}
	verifier := &trust.Verifier{Node: identity.Node(), PlanKeys: identity.PlanKeys(), TrustDir: n.TrustDir, Baked: n.BakedLock}
	return verifier.Check(ctx, delivery)
}
