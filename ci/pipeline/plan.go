package pipeline

import (
	"context"
	"slices"
)

// Plan is what a run would do with a stage, as far as it can be known before.
type Plan struct {
	Name     string   `json:"name"`
	Title    string   `json:"title"`
	After    []string `json:"after,omitempty"`
	Uses     []string `json:"uses,omitempty"`
	Outputs  []string `json:"outputs,omitempty"`
	Inputs   []string `json:"inputs,omitempty"`
	Heavy    bool     `json:"heavy,omitempty"`
	Volatile bool     `json:"volatile,omitempty"`
	// Cached is true when the result is there for the inputs as they are now.
	Cached bool `json:"cached"`
	// Open names the stages that have to run before it can be known.
	Open []string `json:"open,omitempty"`
	// Problem says why an input cannot be read.
	Problem string `json:"problem,omitempty"`
}

// Plan tells which stages are cached. It runs nothing and changes nothing.
func (g *Graph) Plan(ctx context.Context, o Options) ([]Plan, error) {
	x, order, err := g.execution(o)
	if err != nil {
		return nil, err
	}
	var all []Plan
	for _, n := range order {
		p := Plan{Name: n.Name, Title: n.Title, After: n.result.After, Uses: n.Uses, Outputs: n.Outputs, Heavy: n.Heavy, Volatile: n.Volatile}
		for _, in := range n.Inputs {
			p.Inputs = append(p.Inputs, in.Name)
			if in.stage != "" && !x.nodes[in.stage].result.State.Held() && !slices.Contains(p.Open, in.stage) {
				p.Open = append(p.Open, in.stage)
			}
		}
		if len(p.Open) == 0 && !n.fresh {
			if _, n.result.Key, err = x.identify(ctx, n); err != nil {
				p.Problem = err.Error()
			} else {
				p.Cached = x.cached(ctx, n)
			}
		}
		all = append(all, p)
	}
	return all, context.Cause(ctx)
}
