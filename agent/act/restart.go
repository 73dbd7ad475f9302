package act

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/health"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/units/drive"
)

// logLines is how many lines of a failing unit's log an answer carries.
const logLines = 30

// Current returns the plan of the current generation, nil when there is none.
type Current func() (*plan.Plan, error)

// Logs returns the last lines of a unit's log.
type Logs func(ctx context.Context, unit string, lines int) string

// Restart restarts one unit of the current plan and waits until it is well again.
type Restart struct {
	Systemd drive.Driver
	Current Current
	Logs    Logs
}

// Do implements Doer.
func (d *Restart) Do(ctx context.Context, job Job) (Outcome, error) {
	name := job.Request.Arguments.Unit
	unit, err := unitOf(d.Current, name)
	if err != nil {
		return Outcome{}, err
	}
	states, err := d.Systemd.States(ctx, []string{name})
	if err != nil {
		return Outcome{}, err
	}
	if !unit.Start && states[name].Active == "inactive" {
		return Outcome{}, fault.Terminalf("unit %s does not run: others start it when it is needed", name)
	}
	results, err := d.Systemd.Queue(ctx, []drive.Job{{Unit: name, Action: drive.Restart}})
	if err != nil {
		return Outcome{}, err
	}
	ended := drive.Wait(results)
	// A job that failed may be healed by systemd's own restarts; the unit's state decides.
	if err := health.Await(ctx, d.Systemd, []string{name}, nil); err != nil {
		return Outcome{Log: d.Logs(ctx, name, logLines)}, errors.Join(ended, err)
	}
	status, err := d.Systemd.Status(ctx, name)
	if err != nil {
		return Outcome{}, err
	}
	message := fmt.Sprintf("it is %s (%s) again", status.Active, status.Sub)
	if status.MainPID != 0 {
		message += fmt.Sprintf(", its process is %d", status.MainPID)
	}
	return Outcome{Results: []protocol.ActionResult{{Name: name, Status: protocol.ResultOK, Message: message}}}, nil
}

// unitOf returns a unit of the current plan.
func unitOf(current Current, name string) (*plan.Unit, error) {
	p, err := current()
	if err != nil {
		return nil, err
	}
	if p == nil {
		return nil, fault.Terminalf("unit %s: the node has no current plan", name)
	}
	i := slices.IndexFunc(p.Units, func(u plan.Unit) bool { return u.Name == name })
	if i < 0 {
		names := make([]string, len(p.Units))
		for i, unit := range p.Units {
			names[i] = unit.Name
		}
		return nil, fault.Terminalf("unit %s is not in the current plan, which has %v", name, names)
	}
	return &p.Units[i], nil
}
