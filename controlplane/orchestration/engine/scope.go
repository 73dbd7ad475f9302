package engine

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"maps"

	"slipway.build/slipway/controlplane/orchestration/template"
)

// stack is the scope of its template's functions.
var _ template.Scope = (*stack)(nil)

// Param returns a parameter: of the root what was given, of a nested stack the value of the
// property of the resource around it, once that is known.
func (s *stack) Param(name string) (any, error) {
	switch name {
	case template.StackName:
		return s.row.Name, nil
	case template.StackID:
		return s.row.ID, nil
	case template.ProjectID:
		return s.row.ProjectID, nil
	}
	if v, ok := s.params[name]; ok {
		return v, nil
	}
	if s.parent == nil {
		return nil, fmt.Errorf("no parameter %q", name)
	}
	p := s.template.Parameter(name)
	if p == nil {
		return nil, fmt.Errorf("no parameter %q", name)
	}
	v, err := s.parent.properties.Entry(name).Eval(s.parent.scope, s.parent.index)
	if err != nil {
		return nil, err
	}
	if v == nil && p.HasDefault {
		v = p.Default
	} else if v, err = p.Check(v); err != nil {
		return nil, err
	}
	if s.params == nil {
		s.params = map[string]any{}
	}
	s.params[name] = v
	return v, nil
}

// Condition returns a named condition.
func (s *stack) Condition(name string) (bool, error) {
	if v, ok := s.conditions[name]; ok {
		return v, nil
	}
	for _, c := range s.template.Conditions {
		if c.Name != name {
			continue
		}
		v, err := c.Expr.Test(s)
		if err != nil {
			return false, err
		}
		if s.conditions == nil {
			s.conditions = map[string]bool{}
		}
		s.conditions[name] = v
		return v, nil
	}
	return false, fmt.Errorf("no condition %q", name)
}

// Resource returns the reference id of a resource that is done.
func (s *stack) Resource(name string) (any, error) {
	n := s.byName[name]
	if n == nil {
		return nil, nil // its condition is false
	}
	if !n.created() {
		return nil, template.ErrPending
	}
	return n.reference(), nil
}

// reference is the physical id; of a nested template what its output OS::stack_id says.
func (n *node) reference() any {
	if n.kind == templateKind {
		if v, ok := n.row.Attributes[template.StackID]; ok {
			return v
		}
	}
	return n.row.PhysicalID
}

// Attr returns an attribute of a resource that is done.
func (s *stack) Attr(name, attr string) (any, error) {
	n := s.byName[name]
	if n == nil {
		return nil, nil // its condition is false
	}
	if !n.created() {
		return nil, template.ErrPending
	}
	if n.kind == groupKind {
		return n.groupAttr(attr)
	}
	v, ok := n.row.Attributes[attr]
	if !ok {
		return nil, fmt.Errorf("resource %s has no attribute %q; it has %s", name, attr, strings.Join(slices.Sorted(maps.Keys(n.row.Attributes)), ", "))
	}
	return v, nil
}

func (n *node) groupAttr(attr string) (any, error) {
	if member, rest, ok := template.MemberAttribute(attr); ok {
		from := rest
		if rest == "" {
			from = "refs"
		}
		list, _ := n.row.Attributes[from].([]any)
		i, err := strconv.Atoi(member)
		if err != nil || i < 0 || i >= len(list) {
			return nil, fmt.Errorf("group %s has %d members, none at %s", n.row.Name, len(list), member)
		}
		return list[i], nil
	}
	if v, ok := n.row.Attributes[attr]; ok {
		return v, nil
	}
	return []any{}, nil // no member has it, or there is no member
}

// outputs evaluates the template's outputs once all resources are done.
func (s *stack) outputs() (map[string]any, error) {
	out := map[string]any{}
	if s.template == nil {
		return s.groupOutputs(), nil
	}
	for _, o := range s.template.Outputs {
		yes, err := o.Condition.Test(s)
		if err != nil {
			return nil, fmt.Errorf("output %s: %w", o.Name, err)
		}
		if !yes {
			continue
		}
		if out[o.Name], err = o.Value.Eval(s, template.Index{}); err != nil {
			return nil, fmt.Errorf("output %s: %w", o.Name, err)
		}
	}
	return out, nil
}

// groupOutputs are the references of the members and, for each attribute, the list of the
// members' values.
func (s *stack) groupOutputs() map[string]any {
	refs, refsMap := make([]any, 0, len(s.nodes)), make(map[string]any, len(s.nodes))
	out := map[string]any{}
	for i, n := range s.nodes {
		ref := n.reference()
		refs = append(refs, ref)
		refsMap[n.row.Name] = ref
		for k, v := range n.row.Attributes {
			if k == template.StackID {
				continue
			}
			list, _ := out[k].([]any)
			if list == nil {
				list = make([]any, len(s.nodes))
				out[k] = list
			}
			list[i] = v
		}
	}
	out["refs"], out["refs_map"] = refs, refsMap
	return out
}
