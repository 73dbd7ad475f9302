package debug

import (
	"context"
	"sort"

	"slipway.build/slipway/agent/journal"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/agent/redact"
	"slipway.build/slipway/agent/unitlog"
)

// Record is the answer of `slipway-agent journal`: what the agent remembers.
type Record struct {
	Current uint64          `json:"current"` // generation, 0 for none
	Entries []journal.Entry `json:"entries"` // by generation, ascending
	// Outbox are the signals that the control plane does not have yet, the oldest first.
	Outbox []protocol.Signal `json:"outbox"`
	// Filled are the state directories that a healthy component has filled.
	Filled []string `json:"filled,omitempty"`
}

// Journal reads what the agent remembers, beside the running agent.
func (n *Node) Journal() (*Record, error) {
	number, err := n.store().CurrentNumber()
	if err != nil {
		return nil, err
	}
	f := &facts{}
	if f.readJournal(n.stateDir()); f.journalErr != nil {
		return nil, f.journalErr
	}
	r := &Record{Current: number, Entries: f.entries, Outbox: []protocol.Signal{}}
	literals := n.Secrets()
	for i := range r.Entries {
		r.Entries[i].Reason = redact.Text(r.Entries[i].Reason, literals...)
	}
	for _, queued := range f.queued {
		signal := queued.Signal
		signal.Reason, signal.Log = redact.Text(signal.Reason, literals...), redact.Text(signal.Log, literals...)
		r.Outbox = append(r.Outbox, signal)
	}
	for dir := range f.filled {
		r.Filled = append(r.Filled, dir)
	}
	sort.Strings(r.Filled)
	return r, nil
}

// Logs reads lines of units' logs without secrets. Names may be short ones; none means the agent
// and all units of the current generation.
func (n *Node) Logs(ctx context.Context, q unitlog.Query) ([]unitlog.Line, error) {
	f := n.look(ctx)
	names := q.Units
	q.Units = nil
	for _, name := range names {
		full := name
		if f.gen != nil {
			if unit := match(f.gen.Plan.Units, name); unit != nil {
				full = unit.Name
			}
		}
		if name == "agent" {
			full = plan.AgentUnit
		}
		q.Units = append(q.Units, full)
	}
	if len(q.Units) == 0 {
		q.Units = append(q.Units, plan.AgentUnit)
		if f.gen != nil {
			for _, unit := range f.gen.Plan.Units {
				q.Units = append(q.Units, unit.Name)
			}
		}
	}
	lines, err := n.Lines(ctx, q)
	redactLines(lines, n.Secrets())
	return lines, err
}
