package template

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// The types of parameters.
const (
	StringParam  = "string"
	NumberParam  = "number"
	BooleanParam = "boolean"
	JSONParam    = "json"
	ListParam    = "comma_delimited_list"
)

// Parameter is one parameter of a template.
type Parameter struct {
	Name        string
	Type        string
	Description string
	HasDefault  bool
	Default     any // of the parameter's type
	constraints []constraint
	Pos         Pos
}

type constraint struct {
	description string
	check       func(v any) string // what is wrong, or nothing
}

func (p *parser) parameter(o pair) *Parameter {
	out := &Parameter{Name: o.key, Pos: p.at(o.node)}
	what := "parameter " + o.key
	var def, constraints *yaml.Node
	for _, e := range p.pairs(o.value, what) {
		switch e.key {
		case "type":
			out.Type = p.scalar(e.value, what+": type")
		case "description", "label":
			out.Description = p.scalar(e.value, what+": "+e.key)
		case "default":
			def = e.value
		case "constraints":
			constraints = e.value
		default:
			p.add(p.at(e.node), "%s: unknown key %q", what, e.key)
		}
	}
	switch out.Type {
	case StringParam, NumberParam, BooleanParam, JSONParam, ListParam:
	default:
		p.add(out.Pos, "%s: unknown type %q", what, out.Type)
		return out
	}
	if constraints != nil {
		if constraints.Kind != yaml.SequenceNode {
			p.add(p.at(constraints), "%s: constraints must be a list", what)
		}
		for _, c := range constraints.Content {
			p.constraint(out, c, what)
		}
	}
	if def != nil {
		v, ok := p.expr(def, 0).literal()
		if !ok {
			p.add(p.at(def), "%s: a default cannot hold functions", what)
			return out
		}
		v, err := out.Check(v)
		if err != nil {
			p.add(p.at(def), "default of %v", err)
		}
		out.HasDefault, out.Default = true, v
	}
	return out
}

func (p *parser) constraint(out *Parameter, n *yaml.Node, what string) {
	var c constraint
	for _, e := range p.pairs(n, what+": a constraint") {
		switch e.key {
		case "description":
			c.description = p.scalar(e.value, what+": description")
		case "length":
			least, most := p.bounds(e, what)
			c.check = func(v any) string { return outside("length", size(v), least, most) }
		case "range":
			least, most := p.bounds(e, what)
			c.check = func(v any) string {
				f, ok := v.(float64)
				if !ok {
					return "it is no number"
				}
				return outside("value", f, least, most)
			}
		case "allowed_values":
			v, ok := p.expr(e.value, 0).literal()
			allowed, isList := v.([]any)
			if !ok || !isList {
				p.add(p.at(e.value), "%s: allowed_values must be a list", what)
				continue
			}
			c.check = func(v any) string {
				if slices.ContainsFunc(allowed, func(a any) bool { return equal(a, v) }) {
					return ""
				}
				text, _ := printed(allowed)
				return "allowed are " + text
			}
		case "allowed_pattern":
			pattern := p.scalar(e.value, what+": allowed_pattern")
			re, err := regexp.Compile("^(?:" + pattern + ")$")
			if err != nil {
				p.add(p.at(e.value), "%s: allowed_pattern: %v", what, err)
				continue
			}
			c.check = func(v any) string {
				if s, ok := text(v); ok && re.MatchString(s) {
					return ""
				}
				return "it does not match " + pattern
			}
		default:
			p.add(p.at(e.node), "%s: unknown constraint %q", what, e.key)
		}
	}
	if c.check != nil {
		out.constraints = append(out.constraints, c)
	}
}

func (p *parser) bounds(o pair, what string) (least, most float64) {
	least, most = math.Inf(-1), math.Inf(1)
	for _, e := range p.pairs(o.value, what+": "+o.key) {
		f, ok := p.expr(e.value, 0).scalar.(float64)
		switch {
		case !ok:
			p.add(p.at(e.value), "%s: %s.%s must be a number", what, o.key, e.key)
		case e.key == "min":
			least = f
		case e.key == "max":
			most = f
		default:
			p.add(p.at(e.node), "%s: %s: unknown key %q", what, o.key, e.key)
		}
	}
	return least, most
}

func size(v any) float64 {
	switch v := v.(type) {
	case []any:
		return float64(len(v))
	case map[string]any:
		return float64(len(v))
	}
	s, _ := text(v)
	return float64(len([]rune(s)))
}

func outside(what string, v, least, most float64) string {
	if v >= least && v <= most {
		return ""
	}
	return fmt.Sprintf("its %s %g is outside %g to %g", what, v, least, most)
}

// Check converts v to the parameter's type and checks the constraints. Numbers and booleans
// may be given as texts, lists as texts with commas, json as a JSON text.
func (p *Parameter) Check(v any) (any, error) {
	out, err := p.convert(v)
	if err != nil {
		return nil, fmt.Errorf("parameter %s: %w", p.Name, err)
	}
	for _, c := range p.constraints {
		if problem := c.check(out); problem != "" {
			if c.description != "" {
				problem = c.description + " (" + problem + ")"
			}
			return nil, fmt.Errorf("parameter %s: %s", p.Name, problem)
		}
	}
	return out, nil
}

func (p *Parameter) convert(v any) (any, error) {
	v = plain(v)
	switch p.Type {
	case StringParam:
		if v == nil {
			return "", nil
		}
		if s, ok := text(v); ok {
			return s, nil
		}
	case NumberParam:
		return toNumber(v)
	case BooleanParam:
		return toBool(v)
	case JSONParam:
		if s, ok := v.(string); ok {
			var parsed any
			if err := json.Unmarshal([]byte(s), &parsed); err != nil {
				return nil, fmt.Errorf("not JSON: %w", err)
			}
			v = parsed
		}
		switch v.(type) {
		case map[string]any, []any:
			return v, nil
		case nil:
			return map[string]any{}, nil
		}
	case ListParam:
		switch l := v.(type) {
		case []any:
			return l, nil
		case nil:
			return []any{}, nil
		case string:
			out := []any{}
			if l == "" {
				return out, nil
			}
			for part := range strings.SplitSeq(l, ",") {
				out = append(out, strings.TrimSpace(part))
			}
			return out, nil
		}
	}
	return nil, fmt.Errorf("%s was given where %s belongs", kindOf(v), p.Type)
}

func toNumber(v any) (any, error) {
	switch v := v.(type) {
	case float64:
		return v, nil
	case string:
		f, err := strconv.ParseFloat(v, 64)
		if err == nil && !math.IsInf(f, 0) && !math.IsNaN(f) {
			return f, nil
		}
	}
	return nil, fmt.Errorf("%v is no number", v)
}

// plain turns what Go programs write into what encoding/json would have read.
func plain(v any) any {
	switch v.(type) {
	case nil, string, float64, bool:
		return v
	case map[string]any, []any:
		// May hold others; normalised below.
	}
	b, err := json.Marshal(v)
	if err != nil {
		return v
	}
	var out any
	if err := json.Unmarshal(b, &out); err != nil {
		return v
	}
	return out
}

// Resolve returns a value for every parameter of the template from what was given and the
// defaults. An unknown or missing one is an error.
func (t *Template) Resolve(given map[string]any) (map[string]any, error) {
	var f faults
	for name := range given {
		if t.Parameter(name) == nil {
			f.add(t.pos, "parameter %s is not one of this template", name)
		}
	}
	out := make(map[string]any, len(t.Parameters))
	for _, p := range t.Parameters {
		v, ok := given[p.Name]
		switch {
		case ok:
			checked, err := p.Check(v)
			if err != nil {
				f.add(p.Pos, "%v", err)
			}
			out[p.Name] = checked
		case p.HasDefault:
			out[p.Name] = p.Default
		default:
			f.add(p.Pos, "parameter %s is required", p.Name)
		}
	}
	slices.SortFunc(f.list, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return out, f.err()
}
