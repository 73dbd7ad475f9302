package engine

import (
	"context"
	"fmt"

	"slipway.build/slipway/controlplane/orchestration/graph"
	"slipway.build/slipway/controlplane/orchestration/template"
	"slipway.build/slipway/controlplane/store"
)

// ResourceView is a resource with the stack that it is in.
type ResourceView struct {
	*store.Resource
	Stack *store.Stack
}

// Resources lists the resources of a stack and of the stacks nested in it up to that depth (0:
// only the stack's own), as Heat does with nested_depth.
func (e *Engine) Resources(ctx context.Context, stackID string, nestedDepth int) ([]ResourceView, error) {
	stacks, err := e.below(ctx, stackID, nestedDepth)
	if err != nil {
		return nil, err
	}
	if len(stacks) == 1 {
		rows, err := e.store.Resources(ctx, stackID)
		if err != nil {
			return nil, err
		}
		return view(rows, stacks), nil
	}
	rows, err := e.store.ResourceTree(ctx, stacks[stackID].RootID)
	if err != nil {
		return nil, err
	}
	return view(rows, stacks), nil
}

func view(rows []*store.Resource, stacks map[string]*store.Stack) []ResourceView {
	var out []ResourceView
	for _, row := range rows {
		if s := stacks[row.StackID]; s != nil {
			out = append(out, ResourceView{row, s})
		}
	}
	return out
}

// Events lists the events of a stack and of the stacks nested in it up to that depth. The
// filter's Root and Stacks are set here.
func (e *Engine) Events(ctx context.Context, stackID string, nestedDepth int, f store.EventFilter, p store.Page) ([]store.Event, error) {
	stacks, err := e.below(ctx, stackID, nestedDepth)
	if err != nil {
		return nil, err
	}
	for id := range stacks {
		f.Stacks = append(f.Stacks, id)
	}
	return e.store.Events(ctx, f, p)
}

// below returns the stack and those nested in it up to that depth, by id.
func (e *Engine) below(ctx context.Context, stackID string, depth int) (map[string]*store.Stack, error) {
	s, err := e.store.Stack(ctx, stackID)
	if err != nil {
		return nil, err
	}
	out := map[string]*store.Stack{stackID: s}
	if depth <= 0 {
		return out, nil
	}
	tree, err := e.store.StackTree(ctx, s.RootID)
	if err != nil {
		return nil, err
	}
	for _, n := range tree { // parents come first
		if out[n.ParentID] != nil && n.Depth <= s.Depth+depth {
			out[n.ID] = n
		}
	}
	return out, nil
}

// Outputs returns the stack's outputs. Of a group that is still being made it returns
// refs_map with the members whose server exists so far, as the cluster autoscaler reads it.
func (e *Engine) Outputs(ctx context.Context, stackID string) (map[string]any, error) {
	s, err := e.store.Stack(ctx, stackID)
	if err != nil {
		return nil, err
	}
	if len(s.Outputs) > 0 || s.ParentID == "" {
		return s.Outputs, nil
	}
	around, err := e.store.FindResource(ctx, s.ParentID, s.ParentResource)
	if err != nil {
		return nil, err
	}
	if around.Type != template.ResourceGroup {
		return s.Outputs, nil
	}
	members, err := e.store.Resources(ctx, stackID)
	if err != nil {
		return nil, err
	}
	refs := map[string]any{}
	for _, m := range members {
		ref, err := e.memberReference(ctx, m)
		if err != nil {
			return nil, err
		}
		if ref != "" {
			refs[m.Name] = ref
		}
	}
	return map[string]any{"refs_map": refs}, nil
}

// memberReference is the physical id of a group's member, or of the resource that its
// template names in the output OS::stack_id; empty while there is none.
func (e *Engine) memberReference(ctx context.Context, m *store.Resource) (string, error) {
	if m.NestedID == "" {
		return m.PhysicalID, nil
	}
	s, err := e.store.Stack(ctx, m.NestedID)
	if err != nil {
		return "", err
	}
	t, err := template.Parse(s.TemplateName, s.Template)
	if err != nil {
		return "", fmt.Errorf("stored template of stack %s: %w", s.Name, err)
	}
	for _, o := range t.Outputs {
		if o.Name != template.StackID {
			continue
		}
		var refs template.Refs
		refs.Collect(o.Value)
		for name := range refs.Resources {
			r, err := e.store.FindResource(ctx, s.ID, name)
			if err != nil {
				return "", err
			}
			return r.PhysicalID, nil
		}
	}
	return s.ID, nil
}

// Graph returns the tree of a root stack for drawing.
func (e *Engine) Graph(ctx context.Context, root string) ([]graph.Node, error) {
	rows, err := e.store.ResourceTree(ctx, root)
	if err != nil {
		return nil, err
	}
	byStack := map[string][]*store.Resource{}
	ids := map[[2]string]string{}
	for _, r := range rows {
		byStack[r.StackID] = append(byStack[r.StackID], r)
		ids[[2]string{r.StackID, r.Name}] = r.ID
	}
	var build func(stack string) []graph.Node
	build = func(stack string) []graph.Node {
		var out []graph.Node
		for _, r := range byStack[stack] {
			n := graph.Node{ID: r.ID, Name: r.Name, Type: r.Type, Status: r.State(), Physical: r.PhysicalID}
			for _, d := range r.DependsOn {
				n.Needs = append(n.Needs, ids[[2]string{stack, d}])
			}
			if r.NestedID != "" {
				n.Children = build(r.NestedID)
			}
			out = append(out, n)
		}
		return out
	}
	return build(root), nil
}
