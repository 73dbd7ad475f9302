package graph

import (
	"fmt"
	"slices"
	"strings"
)

// Graph is a set of named nodes and what each of them needs. The zero value is empty.
type Graph struct {
	order []string // in which the nodes were added
	needs map[string][]string
	users map[string][]string
}

// CycleError says that nodes need each other in a circle. Path begins and ends with the same
// node; each needs the next.
type CycleError struct{ Path []string }

func (e *CycleError) Error() string { return "circular dependency: " + strings.Join(e.Path, " -> ") }

// Add adds a node that needs the others. The needs may be added later; a node can be added
// once and then given more needs.
func (g *Graph) Add(name string, needs ...string) {
	if g.needs == nil {
		g.needs, g.users = map[string][]string{}, map[string][]string{}
	}
	if _, ok := g.needs[name]; !ok {
		g.order = append(g.order, name)
		g.needs[name] = nil
	}
	for _, n := range needs {
		if slices.Contains(g.needs[name], n) {
			continue
		}
		g.needs[name] = append(g.needs[name], n)
		g.users[n] = append(g.users[n], name)
	}
}

// Needs returns what the node needs directly, sorted.
func (g *Graph) Needs(name string) []string { return slices.Sorted(slices.Values(g.needs[name])) }

// Users returns the nodes that need the node directly, sorted.
func (g *Graph) Users(name string) []string { return slices.Sorted(slices.Values(g.users[name])) }

// Sort returns the nodes so that each comes after all that it needs, and otherwise in the order
// in which they were added. The error is a *CycleError, or says which need does not exist.
func (g *Graph) Sort() ([]string, error) {
	const (
		visiting = 1
		visited  = 2
	)
	state := make(map[string]int, len(g.order))
	sorted := make([]string, 0, len(g.order))
	// An explicit stack: a template of many thousand resources in a row must not exhaust ours.
	type frame struct {
		name string
		next int
	}
	for _, start := range g.order {
		if state[start] != 0 {
			continue
		}
		state[start] = visiting
		path := []frame{{name: start}}
		for len(path) > 0 {
			f := &path[len(path)-1]
			needs := g.needs[f.name]
			if f.next == len(needs) {
				state[f.name] = visited
				sorted = append(sorted, f.name)
				path = path[:len(path)-1]
				continue
			}
			n := needs[f.next]
			f.next++
			if _, ok := g.needs[n]; !ok {
				return nil, fmt.Errorf("%s needs %s, which does not exist", f.name, n)
			}
			switch state[n] {
			case 0:
				state[n] = visiting
				path = append(path, frame{name: n})
			case visiting:
				var cycle []string
				for i := range path {
					if path[i].name == n || len(cycle) > 0 {
						cycle = append(cycle, path[i].name)
					}
				}
				return nil, &CycleError{Path: append(cycle, n)}
			}
		}
	}
	return sorted, nil
}

// Heights returns, for each node, how many nodes stand one after the other above it: what is on
// the longest path has the greatest height and is worth starting first. The graph must have no
// cycle.
func (g *Graph) Heights() (map[string]int, error) {
	sorted, err := g.Sort()
	if err != nil {
		return nil, err
	}
	h := make(map[string]int, len(sorted))
	for _, n := range slices.Backward(sorted) {
		for _, u := range g.users[n] {
			h[n] = max(h[n], h[u]+1)
		}
	}
	return h, nil
}
