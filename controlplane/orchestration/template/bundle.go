package template

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"slipway.build/slipway/controlplane/cloud"
	"slipway.build/slipway/controlplane/orchestration/graph"
)

// maxNesting is how deep templates may be nested, groups not counted: Heat's own
// max_nested_stack_depth.
const maxNesting = 5

// Bundle is a template and all templates nested in it.
type Bundle struct {
	Root  *Template
	Files map[string]*Template // nested templates by name
}

// Load parses the template files[name] and those that it names as types, directly or not.
func Load(name string, files map[string]string) (*Bundle, error) {
	text, ok := files[name]
	if !ok {
		return nil, fmt.Errorf("no template %q", name)
	}
	root, err := Parse(name, text)
	if err != nil {
		return nil, err
	}
	b := &Bundle{Root: root, Files: map[string]*Template{}}
	var f faults
	b.load(root, files, []string{name}, &f)
	return b, f.err()
}

func (b *Bundle) load(t *Template, files map[string]string, path []string, f *faults) {
	for _, r := range t.Resources {
		typ, pos := r.Type, r.Pos
		if r.Def != nil {
			typ, pos = r.Def.Type, r.Def.Pos
		}
		text, ok := files[typ]
		if !ok {
			continue
		}
		if slices.Contains(path, typ) {
			f.add(pos, "resource %s: template %s is nested in itself", r.Name, typ)
			continue
		}
		if len(path) > maxNesting {
			f.add(pos, "resource %s: templates are nested deeper than %d", r.Name, maxNesting)
			continue
		}
		nested := b.Files[typ]
		if nested == nil {
			var err error
			if nested, err = Parse(typ, text); err != nil {
				f.list = append(f.list, err)
				continue
			}
			b.Files[typ] = nested
		}
		b.load(nested, files, append(slices.Clone(path), typ), f)
	}
}

// Texts returns the texts of the nested templates.
func (b *Bundle) Texts() map[string]string {
	out := make(map[string]string, len(b.Files))
	for name, t := range b.Files {
		out[name] = t.Text
	}
	return out
}

// Schemas tells the schema of a cloud's type, or false when there is no such type.
type Schemas func(typ string) (cloud.Schema, bool)

// Validate checks all templates of the bundle: types, properties, parameters, attributes,
// conditions and references exist, what is required is there, literal values have the right
// kind, and nothing depends on itself. The error joins *Error values.
func (b *Bundle) Validate(schemas Schemas) error {
	v := &validator{bundle: b, schemas: schemas}
	v.template(b.Root)
	for _, name := range slices.Sorted(maps.Keys(b.Files)) {
		v.template(b.Files[name])
	}
	return v.err()
}

type validator struct {
	bundle  *Bundle
	schemas Schemas
	faults
}

func (v *validator) schema(typ string) (cloud.Schema, bool) {
	if t, ok := v.bundle.Files[typ]; ok {
		return t.schema(), true
	}
	return v.schemas(typ)
}

// schema describes the template as a type.
func (t *Template) schema() cloud.Schema {
	var s cloud.Schema
	for _, p := range t.Parameters {
		kind := map[string]cloud.Kind{StringParam: cloud.String, NumberParam: cloud.Number, BooleanParam: cloud.Boolean, ListParam: cloud.List}[p.Type]
		s.Properties = append(s.Properties, cloud.Property{Name: p.Name, Kind: kind, Required: !p.HasDefault})
	}
	for _, o := range t.Outputs {
		s.Attributes = append(s.Attributes, o.Name)
	}
	return s
}

var groupSchema = cloud.Schema{
	Properties: []cloud.Property{{Name: "count", Kind: cloud.Number, Default: 1.0}, {Name: "index_var", Kind: cloud.String, Default: DefaultIndexVar}},
	Attributes: []string{"refs", "refs_map"},
}

// DefaultIndexVar is what stands for a member's number in a resource_def.
const DefaultIndexVar = "%index%"

func (v *validator) template(t *Template) {
	conditions := map[string]bool{}
	for _, c := range t.Conditions {
		conditions[c.Name] = true
	}
	var g graph.Graph
	for _, c := range t.Conditions {
		var needs []string
		c.Expr.conditionNames(func(name string, pos Pos) {
			if !conditions[name] {
				v.add(pos, "no condition %q", name)
				return
			}
			needs = append(needs, name)
		})
		g.Add(c.Name, needs...)
		v.params(t, c.Expr)
	}
	if _, err := g.Sort(); err != nil {
		v.add(t.pos, "conditions: %v", err)
	}
	for _, r := range t.Resources {
		v.resource(t, r, conditions)
	}
	for _, o := range t.Outputs {
		v.expr(t, o.Value, conditions)
		v.conditionExpr(t, o.Condition, conditions)
	}
	v.cycles(t)
}

func (v *validator) cycles(t *Template) {
	var g graph.Graph
	for _, r := range t.Resources {
		g.Add(r.Name)
	}
	for _, r := range t.Resources {
		for _, n := range r.Needs() {
			if t.Resource(n) != nil {
				g.Add(r.Name, n)
			}
		}
	}
	if _, err := g.Sort(); err != nil {
		pos := t.pos
		if c, ok := err.(*graph.CycleError); ok {
			pos = t.Resource(c.Path[0]).Pos
		}
		v.add(pos, "%v", err)
	}
}

func (v *validator) resource(t *Template, r *Resource, conditions map[string]bool) {
	what := "resource " + r.Name
	v.conditionExpr(t, r.Condition, conditions)
	v.expr(t, r.Metadata, conditions)
	for _, d := range r.DependsOn {
		if t.Resource(d) == nil {
			v.add(r.Pos, "%s: depends_on names %q, which is no resource", what, d)
		}
	}
	if r.Type == ResourceGroup {
		v.properties(t, r.Properties, groupSchema, what, r.Pos, Index{}, conditions)
		if r.Def == nil {
			v.add(r.Pos, "%s: property resource_def is required", what)
			return
		}
		if r.Def.Type == ResourceGroup {
			v.add(r.Def.Pos, "%s: a group of groups is not supported; put the inner group into a template", what)
			return
		}
		// What stands for a member's number is judged as the number 0.
		index := Index{DefaultIndexVar, "0"}
		if own, ok := r.Properties.Entry("index_var").literal(); ok {
			if name, ok := own.(string); ok && name != "" {
				index.Var = name
			}
		}
		s, ok := v.schema(r.Def.Type)
		if !ok {
			v.add(r.Def.Pos, "%s: unknown type %q", what, r.Def.Type)
			return
		}
		v.properties(t, r.Def.Properties, s, what+": resource_def", r.Def.Pos, index, conditions)
		v.expr(t, r.Def.Metadata, conditions)
		return
	}
	s, ok := v.schema(r.Type)
	if !ok {
		v.add(r.Pos, "%s: unknown type %q", what, r.Type)
		return
	}
	v.properties(t, r.Properties, s, what, r.Pos, Index{}, conditions)
}

func (v *validator) properties(t *Template, e *Expr, s cloud.Schema, what string, pos Pos, i Index, conditions map[string]bool) {
	known := map[string]cloud.Property{}
	var list []string
	for _, p := range s.Properties {
		known[p.Name] = p
		list = append(list, p.Name)
		if p.Required && p.Default == nil && e.Entry(p.Name) == nil {
			v.add(pos, "%s: property %s is required", what, p.Name)
		}
	}
	if e == nil {
		return
	}
	for _, en := range e.entries {
		p, ok := known[en.key]
		if !ok {
			v.add(en.pos, "%s: unknown property %q (known: %s)", what, en.key, strings.Join(list, ", "))
			continue
		}
		v.expr(t, en.value, conditions)
		if literal, ok := en.value.literalAt(i); ok && literal != nil {
			if _, err := Coerce(p, literal); err != nil {
				v.add(en.pos, "%s: %v", what, err)
			}
		}
	}
}

// expr checks the references in a value.
func (v *validator) expr(t *Template, e *Expr, conditions map[string]bool) {
	v.params(t, e)
	e.walk(func(x *Expr) {
		switch x.fn {
		case "get_resource":
			if t.Resource(x.name) == nil {
				v.add(x.pos, "get_resource: no resource %q", x.name)
			}
		case "get_attr":
			r := t.Resource(x.name)
			if r == nil {
				v.add(x.pos, "get_attr: no resource %q", x.name)
				return
			}
			if attr, ok := x.list[0].scalar.(string); ok && x.list[0].kind == scalarExpr {
				v.attribute(r, attr, x.pos)
			}
		case "if":
			v.conditionExpr(t, x.list[0], conditions)
		}
	})
}

func (v *validator) params(t *Template, e *Expr) {
	e.walk(func(x *Expr) {
		if x.fn != "get_param" || t.Parameter(x.name) != nil {
			return
		}
		switch x.name {
		case StackName, StackID, ProjectID:
			return
		}
		v.add(x.pos, "get_param: no parameter %q", x.name)
	})
}

func (v *validator) conditionExpr(t *Template, e *Expr, conditions map[string]bool) {
	v.params(t, e)
	e.conditionNames(func(name string, pos Pos) {
		if !conditions[name] {
			v.add(pos, "no condition %q", name)
		}
	})
}

func (v *validator) attribute(r *Resource, attr string, pos Pos) {
	typ := r.Type
	if r.Def != nil {
		typ = r.Def.Type
		if slices.Contains(groupSchema.Attributes, attr) {
			return
		}
		if _, rest, ok := MemberAttribute(attr); ok {
			if rest == "" {
				return
			}
			attr = rest
		}
	}
	s, ok := v.schema(typ)
	if !ok {
		return // said where the resource is
	}
	if !slices.Contains(s.Attributes, attr) {
		v.add(pos, "get_attr: %s (%s) has no attribute %q (known: %s)", r.Name, typ, attr, strings.Join(s.Attributes, ", "))
	}
}

// MemberAttribute takes apart an attribute of a group that is about one member: "resource.0"
// is its reference id, "resource.0.address" its attribute.
func MemberAttribute(attr string) (member, rest string, ok bool) {
	tail, ok := strings.CutPrefix(attr, "resource.")
	if !ok {
		return "", "", false
	}
	member, rest, _ = strings.Cut(tail, ".")
	if _, err := strconv.Atoi(member); err != nil {
		return "", "", false
	}
	return member, rest, true
}

// conditionNames calls fn for each condition that a condition names.
func (e *Expr) conditionNames(fn func(name string, pos Pos)) {
	if e == nil {
		return
	}
	if e.kind == scalarExpr {
		if name, ok := e.scalar.(string); ok {
			fn(name, e.pos)
		}
		return
	}
	switch e.fn {
	case "not", "and", "or":
		for _, x := range e.list {
			x.conditionNames(fn)
		}
	}
}

// ConditionParams returns the parameters that the template's conditions depend on: which
// resources there are cannot be known before them.
func (t *Template) ConditionParams() []string {
	var refs Refs
	for _, c := range t.Conditions {
		refs.Collect(c.Expr)
	}
	for _, r := range t.Resources {
		refs.Collect(r.Condition)
		if r.Type == ResourceGroup {
			refs.Collect(r.Properties.Entry("index_var"))
		}
	}
	return slices.Sorted(maps.Keys(refs.Params))
}
