package engine

import (
	"encoding/base32"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"slipway.build/slipway/controlplane/orchestration/graph"
	"slipway.build/slipway/controlplane/orchestration/template"
	"slipway.build/slipway/controlplane/store"
)

// stackType is the type that events about a stack itself carry, as in Heat.
const stackType = "OS::Heat::Stack"

// stack is one stack of the tree in memory.
type stack struct {
	row      *store.Stack
	template *template.Template // nil for the stack of a group
	parent   *node              // nil for the root
	nodes    []*node            // in the template's order
	byName   map[string]*node
	open     int // nodes that are not done

	params     map[string]any
	paramDeps  map[string][]*node
	conditions map[string]bool
}

// node is one resource in memory.
type node struct {
	row   *store.Resource
	stack *stack
	kind  kind
	// properties and metadata are evaluated in scope, where index stands for the member's
	// number; of a group they are its own, and def describes the members.
	properties, metadata *template.Expr
	dependsOn            []string
	def                  *template.Definition
	scope                *stack
	index                template.Index
	nested               *stack
	waits                int     // nodes that must be done before this one starts
	users                []*node // nodes that wait for this one
	height               int     // how many stand one after the other above it
}

type kind int

const (
	leafKind     kind = iota // the cloud makes it
	templateKind             // a nested template
	groupKind                // a number of equal resources
)

func shortID(id string) string {
	u, err := uuid.Parse(id)
	if err != nil {
		u = uuid.NewSHA1(uuid.Nil, []byte(id))
	}
	return strings.ToLower(base32.StdEncoding.EncodeToString(u[:8])[:12])
}

// physicalName is how Heat names what has no physical id yet.
func (n *node) physicalName() string {
	return n.stack.row.Name + "-" + n.row.Name + "-" + shortID(n.row.ID)
}

// path is the node's name seen from the root: kube_masters.0.kube-master.
func (n *node) path() string { return n.pathFrom(nil) }

func (n *node) pathFrom(s *stack) string {
	if n.stack == s || n.stack.parent == nil {
		return n.row.Name
	}
	return n.stack.parent.pathFrom(s) + "." + n.row.Name
}

func (n *node) is(action, status string) bool {
	return n.row.Action == action && n.row.Status == status
}

func (n *node) created() bool { return n.is(store.ActionCreate, store.Complete) }

// plan gives a new stack its nodes with new rows.
func (r *run) plan(s *stack) error {
	if s.template == nil {
		return r.planGroup(s)
	}
	var present []*template.Resource
	for _, res := range s.template.Resources {
		yes, err := res.Condition.Test(s)
		if err != nil {
			return fmt.Errorf("condition of resource %s: %w", res.Name, err)
		}
		if yes {
			present = append(present, res)
		}
	}
	var g graph.Graph
	for _, res := range present {
		g.Add(res.Name)
	}
	for _, res := range present {
		for _, need := range res.Needs() {
			if slices.ContainsFunc(present, func(o *template.Resource) bool { return o.Name == need }) {
				g.Add(res.Name, need)
			}
		}
	}
	for _, res := range present {
		r.addNode(s, &store.Resource{
			ID: store.NewID(), StackID: s.row.ID, RootID: r.root.ID, Name: res.Name, Type: res.Type,
			Action: store.ActionInit, Status: store.Complete, DependsOn: g.Needs(res.Name), RequiredBy: g.Users(res.Name),
		})
	}
	return r.setHeights(s)
}

func (r *run) planGroup(s *stack) error {
	count, _ := s.parent.row.Properties["count"].(float64)
	for i := range int(count) {
		r.addNode(s, &store.Resource{
			ID: store.NewID(), StackID: s.row.ID, RootID: r.root.ID, Name: strconv.Itoa(i), Type: s.parent.def.Type,
			Action: store.ActionInit, Status: store.Complete,
		})
	}
	return r.setHeights(s)
}

// addNode gives the row its meaning from the template.
func (r *run) addNode(s *stack, row *store.Resource) {
	n := &node{row: row, stack: s, scope: s}
	if s.byName == nil {
		s.byName = map[string]*node{}
	}
	s.nodes = append(s.nodes, n)
	s.byName[row.Name] = n
	switch {
	case s.template != nil:
		if res := s.template.Resource(row.Name); res != nil {
			n.properties, n.metadata, n.dependsOn, n.def = res.Properties, res.Metadata, res.DependsOn, res.Def
		}
	case s.parent != nil && s.parent.def != nil:
		p := s.parent
		n.properties, n.metadata = p.def.Properties, p.def.Metadata
		variable, _ := p.row.Properties["index_var"].(string)
		n.scope, n.index = p.scope, template.Index{Var: variable, Value: row.Name}
	}
	switch {
	case row.Type == template.ResourceGroup:
		n.kind = groupKind
	case r.bundle != nil && r.bundle.Files[row.Type] != nil:
		n.kind = templateKind
	}
}

// setHeights counts how much stands above each node, what stands above its stack included.
func (r *run) setHeights(s *stack) error {
	var g graph.Graph
	for _, n := range s.nodes {
		g.Add(n.row.Name, n.row.DependsOn...)
	}
	h, err := g.Heights()
	if err != nil {
		return err
	}
	for _, n := range s.nodes {
		n.height = h[n.row.Name]
		if s.parent != nil {
			n.height += s.parent.height
		}
	}
	return nil
}

// wire makes the nodes of s wait for what they need and is not done, also across stacks.
func (r *run) wire(s *stack) {
	for _, n := range s.nodes {
		if n.created() {
			continue
		}
		s.open++
		seen := map[*node]bool{}
		for _, need := range n.needs(r) {
			if seen[need] || need.created() {
				continue
			}
			seen[need] = true
			n.waits++
			need.users = append(need.users, n)
		}
	}
}

// needs returns the nodes that must be done before n starts. A nested stack needs only what
// decides about its shape.
func (n *node) needs(r *run) []*node {
	var out []*node
	for _, name := range n.dependsOn {
		if d := n.stack.byName[name]; d != nil {
			out = append(out, d)
		}
	}
	switch n.kind {
	case leafKind:
		out = append(out, n.scope.deps(n.properties)...)
		out = append(out, n.scope.deps(n.metadata)...)
	case groupKind:
		out = append(out, n.scope.deps(n.properties)...)
	case templateKind:
		for _, p := range r.bundle.Files[n.row.Type].ConditionParams() {
			out = append(out, n.scope.deps(n.properties.Entry(p))...)
		}
	}
	return out
}

// deps returns the nodes whose values the expression uses, through parameters into the stacks
// around.
func (s *stack) deps(e *template.Expr) []*node {
	var refs template.Refs
	refs.Collect(e)
	var out []*node
	for name := range refs.Resources {
		if n := s.byName[name]; n != nil {
			out = append(out, n)
		}
	}
	if s.parent == nil {
		return out
	}
	for name := range refs.Params {
		ds, ok := s.paramDeps[name]
		if !ok {
			ds = s.parent.scope.deps(s.parent.properties.Entry(name))
			if s.paramDeps == nil {
				s.paramDeps = map[string][]*node{}
			}
			s.paramDeps[name] = ds
		}
		out = append(out, ds...)
	}
	return out
}

// groupProperties evaluates what decides about a group's shape.
func (n *node) groupProperties() (map[string]any, error) {
	count := 1.0
	v, err := n.properties.Entry("count").Eval(n.scope, n.index)
	if err != nil {
		return nil, err
	}
	switch c := v.(type) {
	case nil:
	case float64:
		count = c
	case string:
		if count, err = strconv.ParseFloat(c, 64); err != nil {
			return nil, fmt.Errorf("property count: %q is no number", c)
		}
	default:
		return nil, fmt.Errorf("property count: %v is no number", v)
	}
	if count < 0 || count != math.Trunc(count) || count > 10000 {
		return nil, fmt.Errorf("property count: %g is not a whole number from 0 to 10000", count)
	}
	variable, err := n.properties.Entry("index_var").Eval(n.scope, n.index)
	if err != nil {
		return nil, err
	}
	if variable == nil {
		variable = template.DefaultIndexVar
	}
	return map[string]any{"count": count, "index_var": variable}, nil
}
