package act

import (
	"context"
	"fmt"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/probe"
	"slipway.build/slipway/agent/protocol"
)

// Source looks at one side of the node; those of package conditions do.
type Source interface {
	Look(ctx context.Context) []protocol.Condition
}

// Look turns what a source of conditions sees into results.
func Look(ctx context.Context, source Source) ([]protocol.ActionResult, error) {
	seen := source.Look(ctx)
	if len(seen) == 0 {
		return []protocol.ActionResult{{Status: protocol.ResultOK, Message: "there is nothing of it on this node"}}, nil
	}
	var results []protocol.ActionResult
	for _, condition := range seen {
		status := protocol.ResultUnknown
		switch condition.Status {
		case "True":
			status = protocol.ResultTrouble
		case "False":
			status = protocol.ResultOK
		}
		results = append(results, protocol.ActionResult{Name: condition.Type, Status: status, Message: condition.Message})
	}
	return results, nil
}

// AskReady asks every component of the current plan whether it is ready.
func AskReady(ctx context.Context, current Current) ([]protocol.ActionResult, error) {
	return ask(ctx, current, func(e *plan.Exec) *plan.Probe { return e.Ready })
}

// AskAwaited asks what the components of the current plan wait for before they begin, such as the
// cluster's API.
func AskAwaited(ctx context.Context, current Current) ([]protocol.ActionResult, error) {
	return ask(ctx, current, func(e *plan.Exec) *plan.Probe { return e.Await })
}

func ask(ctx context.Context, current Current, of func(*plan.Exec) *plan.Probe) ([]protocol.ActionResult, error) {
	p, err := current()
	if err != nil {
		return nil, err
	}
	var results []protocol.ActionResult
	if p != nil {
		for _, unit := range p.Units {
			if unit.Exec == nil || of(unit.Exec) == nil {
				continue
			}
			results = append(results, askOne(ctx, unit.Name, *of(unit.Exec)))
		}
	}
	if len(results) == 0 {
		results = append(results, protocol.ActionResult{Status: protocol.ResultOK, Message: "there is nothing of it on this node"})
	}
	return results, nil
}

func askOne(ctx context.Context, unit string, what plan.Probe) protocol.ActionResult {
	prober, err := probe.New(what)
	if err == nil {
		defer prober.Close()
		err = prober.Ask(ctx)
	}
	if err != nil {
		return protocol.ActionResult{Name: unit, Status: protocol.ResultTrouble, Message: fmt.Sprintf("%s: %v", what.URL, err)}
	}
	return protocol.ActionResult{Name: unit, Status: protocol.ResultOK, Message: what.URL + " answers"}
}
