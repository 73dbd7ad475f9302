package template

import (
	"maps"
	"slices"
)

// ResourceGroup is the type of a number of equal resources in a nested stack, named "0", "1"
// and so on.
const ResourceGroup = "OS::Heat::ResourceGroup"

// The parameters that every stack has without declaring them.
const (
	StackName = "OS::stack_name"
	StackID   = "OS::stack_id"
	ProjectID = "OS::project_id"
)

// Template is one parsed template.
type Template struct {
	Name        string // file name, as in other templates' types
	Text        string // what was parsed
	Description string
	Parameters  []*Parameter
	Conditions  []*Condition
	Resources   []*Resource
	Outputs     []*Output

	pos Pos
}

// Condition is a named condition.
type Condition struct {
	Name string
	Expr *Expr
}

// Resource is one resource of a template.
type Resource struct {
	Name       string
	Type       string
	Properties *Expr // a map, or nil; of a group: count and index_var only
	DependsOn  []string
	Condition  *Expr // nil when unconditional
	Metadata   *Expr // a map, or nil
	// Def is the resource_def of a ResourceGroup.
	Def *Definition
	Pos Pos
}

// Definition is what a ResourceGroup's members are.
type Definition struct {
	Type       string
	Properties *Expr // a map, or nil
	Metadata   *Expr
	Pos        Pos
}

// Output is one output of a template.
type Output struct {
	Name        string
	Description string
	Value       *Expr
	Condition   *Expr
	Pos         Pos
}

// Parameter returns the parameter of that name, or nil.
func (t *Template) Parameter(name string) *Parameter {
	i := slices.IndexFunc(t.Parameters, func(p *Parameter) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return t.Parameters[i]
}

// Resource returns the resource of that name, or nil.
func (t *Template) Resource(name string) *Resource {
	i := slices.IndexFunc(t.Resources, func(r *Resource) bool { return r.Name == name })
	if i < 0 {
		return nil
	}
	return t.Resources[i]
}

// Refs are the names that expressions refer to.
type Refs struct {
	Params    map[string]struct{}
	Resources map[string]struct{}
}

func (r *Refs) param(n string) {
	if r.Params == nil {
		r.Params = map[string]struct{}{}
	}
	r.Params[n] = struct{}{}
}

func (r *Refs) resource(n string) {
	if r.Resources == nil {
		r.Resources = map[string]struct{}{}
	}
	r.Resources[n] = struct{}{}
}

// Collect adds what e refers to; both branches of an if count.
func (r *Refs) Collect(e *Expr) {
	e.walk(func(e *Expr) {
		switch e.fn {
		case "get_param":
			r.param(e.name)
		case "get_resource", "get_attr":
			r.resource(e.name)
		}
	})
}

// Needs returns the names of the resources that r depends on, in depends_on or by reference,
// sorted. They may include resources whose condition is false.
func (r *Resource) Needs() []string {
	var refs Refs
	refs.Collect(r.Properties)
	refs.Collect(r.Metadata)
	if r.Def != nil {
		refs.Collect(r.Def.Properties)
		refs.Collect(r.Def.Metadata)
	}
	for _, d := range r.DependsOn {
		refs.resource(d)
	}
	return slices.Sorted(maps.Keys(refs.Resources))
}
