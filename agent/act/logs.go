package act

import (
	"context"
	"fmt"
	"time"

	"slipway.build/slipway/agent/action"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/agent/unitlog"
)

// UnitLogs tells the last lines of the log of one unit: of the current plan, or the agent's own.
type UnitLogs struct {
	Current Current
	// Read reads the journal; unitlog.Read does.
	Read func(context.Context, unitlog.Query) ([]unitlog.Line, error)
}

// Do implements Doer. The lines that are too many are left out at the front, by the answer's
// bound.
func (d *UnitLogs) Do(ctx context.Context, job Job) (Outcome, error) {
	name, count := job.Request.Arguments.Unit, min(job.Request.Arguments.Lines, action.MaxLines)
	if name != plan.AgentUnit {
		if _, err := unitOf(d.Current, name); err != nil {
			return Outcome{}, err
		}
	}
	lines, err := d.Read(ctx, unitlog.Query{Units: []string{name}, Lines: count})
	if err != nil {
		return Outcome{}, err
	}
	var text []byte
	for _, line := range lines {
		text = fmt.Appendf(text, "%s %s: %s\n", line.Time.Format(time.RFC3339Nano), line.By, line.Message)
	}
	return Outcome{
		Output:  string(text),
		Results: []protocol.ActionResult{{Name: name, Status: protocol.ResultOK, Message: fmt.Sprintf("%d lines", len(lines))}},
	}, nil
}
