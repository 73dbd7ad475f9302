package template

import (
	"math"
	"slices"

	"go.yaml.in/yaml/v3"
)

// expr parses a value with functions in it.
func (p *parser) expr(n *yaml.Node, depth int) *Expr {
	e := &Expr{pos: p.at(n)}
	if depth > maxDepth {
		p.add(e.pos, "nested deeper than %d levels", maxDepth)
		return e
	}
	switch n.Kind {
	case yaml.ScalarNode:
		e.scalar = p.value(n)
	case yaml.SequenceNode:
		e.kind = listExpr
		for _, x := range n.Content {
			e.list = append(e.list, p.expr(x, depth+1))
		}
	case yaml.MappingNode:
		ps := p.pairs(n, "a value")
		if len(ps) == 1 {
			if p.function(e, ps[0], depth) {
				return e
			}
		}
		e.kind = mapExpr
		for _, o := range ps {
			e.entries = append(e.entries, entry{o.key, p.at(o.node), p.expr(o.value, depth+1)})
		}
	default:
		p.add(e.pos, "YAML aliases are not allowed")
	}
	return e
}

func (p *parser) value(n *yaml.Node) any {
	switch n.ShortTag() {
	case "!!null":
		return nil
	case "!!bool":
		var b bool
		if err := n.Decode(&b); err != nil {
			p.add(p.at(n), "%q is no boolean", n.Value)
		}
		return b
	case "!!int", "!!float":
		var f float64
		if err := n.Decode(&f); err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			p.add(p.at(n), "%q is no finite number", n.Value)
			return 0.0
		}
		return f
	case "!!str", "!!timestamp":
		return n.Value
	}
	p.add(p.at(n), "values of the YAML type %s are not allowed", n.Tag)
	return nil
}

// function parses a map with one entry as the call of a function, and returns false when the
// key is no function's name.
func (p *parser) function(e *Expr, o pair, depth int) bool {
	e.kind, e.fn = callExpr, o.key
	switch o.key {
	case "get_resource":
		e.name = p.scalar(o.value, o.key)
	case "get_param", "get_attr":
		if o.key == "get_param" && o.value.Kind == yaml.ScalarNode {
			e.name = p.scalar(o.value, o.key)
			break
		}
		args := p.args(o, 1, -1)
		if args == nil {
			break
		}
		e.name = p.scalar(args[0], o.key)
		for _, a := range args[1:] {
			e.list = append(e.list, p.expr(a, depth+1))
		}
		if o.key == "get_attr" && len(e.list) == 0 {
			p.add(e.pos, "get_attr needs a resource and an attribute")
			e.list = []*Expr{{pos: e.pos, scalar: ""}}
		}
	case "str_replace":
		var template, params *Expr
		for _, a := range p.pairs(o.value, o.key) {
			switch a.key {
			case "template":
				template = p.expr(a.value, depth+1)
			case "params":
				params = p.expr(a.value, depth+1)
			default:
				p.add(p.at(a.node), "str_replace: unknown key %q", a.key)
			}
		}
		if template == nil || params == nil {
			p.add(e.pos, "str_replace needs template and params")
		}
		e.list = []*Expr{template, params}
	case "list_join":
		args := p.args(o, 2, -1)
		for _, a := range args {
			e.list = append(e.list, p.expr(a, depth+1))
		}
		if args == nil {
			e.list = []*Expr{{pos: e.pos, scalar: ""}}
		}
	case "list_concat":
		for _, a := range p.args(o, 1, -1) {
			e.list = append(e.list, p.expr(a, depth+1))
		}
	case "if":
		args := p.args(o, 3, 3)
		if args == nil {
			e.list = []*Expr{nil, nil, nil}
			break
		}
		e.list = []*Expr{p.condition(args[0], depth+1), p.expr(args[1], depth+1), p.expr(args[2], depth+1)}
	default:
		if otherFunctions.MatchString(o.key) {
			p.add(p.at(o.node), "unknown function %q", o.key)
			return true
		}
		e.kind, e.fn = mapExpr, ""
		return false
	}
	return true
}

// args returns the arguments of a function that takes a list; most is -1 for no limit.
func (p *parser) args(o pair, least, most int) []*yaml.Node {
	if o.value.Kind != yaml.SequenceNode || len(o.value.Content) < least || (most >= 0 && len(o.value.Content) > most) {
		p.add(p.at(o.node), "%s needs a list of %s", o.key, count(least, most))
		return nil
	}
	return o.value.Content
}

func count(least, most int) string {
	n := []string{"no", "one", "two", "three"}[least]
	if most != least {
		return "at least " + n
	}
	return n
}

// condition parses a condition: a boolean, the name of another one, or a function.
func (p *parser) condition(n *yaml.Node, depth int) *Expr {
	e := &Expr{pos: p.at(n)}
	if depth > maxDepth {
		p.add(e.pos, "nested deeper than %d levels", maxDepth)
		return e
	}
	if n.Kind == yaml.ScalarNode {
		switch v := p.value(n).(type) {
		case bool, string:
			e.scalar = v
			return e
		}
	}
	if n.Kind != yaml.MappingNode || len(n.Content) != 2 {
		p.add(e.pos, "a condition is true, false, the name of one, or one of equals, not, and, or, get_param")
		return e
	}
	o := pair{n.Content[0].Value, n.Content[0], n.Content[1]}
	e.kind, e.fn = callExpr, o.key
	switch o.key {
	case "get_param":
		p.function(e, o, depth)
	case "equals":
		e.list = []*Expr{nil, nil}
		for i, a := range p.args(o, 2, 2) {
			e.list[i] = p.expr(a, depth+1)
			e.list[i].walk(func(x *Expr) {
				if x.kind == callExpr && !slices.Contains([]string{"get_param", "str_replace", "list_join"}, x.fn) {
					p.add(x.pos, "%s cannot be used in a condition", x.fn)
				}
			})
		}
	case "not":
		e.list = []*Expr{p.condition(o.value, depth+1)}
	case "and", "or":
		for _, a := range p.args(o, 2, -1) {
			e.list = append(e.list, p.condition(a, depth+1))
		}
	default:
		p.add(p.at(o.node), "unknown function %q in a condition", o.key)
	}
	return e
}
