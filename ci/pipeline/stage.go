package pipeline

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"
)

// Stage is one node of the graph.
type Stage struct {
	// Name is unique: lower case letters, digits and dashes.
	Name string
	// Title says in a few words what the stage does.
	Title string
	// Version is raised when the stage does something else with the same inputs.
	Version int
	// Needs are stages that must have held before this one begins. They are not part of its key:
	// what it reads of another stage is an input.
	Needs []string
	// Uses are stages that hold something which this one works with while it is held (Step.Hold).
	// Whatever this stage reads must come from stages that they need, too.
	Uses []string
	// Inputs decide, with Version, whether the stage has to run.
	Inputs []Input
	// Outputs are the names of the files and directories that the stage makes.
	Outputs []string
	// Heavy stages run alone.
	Heavy bool
	// Volatile stages run every time: what they do happens outside of the cache.
	Volatile bool
	// Strict stages do not begin while something that they need is unproven.
	Strict bool
	// Deadline bounds the stage's run; 0 means DefaultDeadline.
	Deadline time.Duration
	// Run does the work. It ends soon after its context.
	Run func(ctx context.Context, s *Step) error
}

// DefaultDeadline is how long a stage may run that names no deadline.
const DefaultDeadline = 30 * time.Minute

// ReleaseDeadline bounds how long what a stage holds may take to be given back.
const ReleaseDeadline = 10 * time.Minute

var nameForm = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)

// Graph is a checked set of stages, in an order in which each comes after what it needs.
type Graph struct {
	stages []*Stage
	at     map[string]*Stage
}

// NewGraph checks the stages: names, references, outputs, cycles.
func NewGraph(stages ...Stage) (*Graph, error) {
	g := &Graph{at: map[string]*Stage{}}
	var problems []error
	bad := func(s *Stage, format string, a ...any) {
		problems = append(problems, fmt.Errorf("stage %q: %s", s.Name, fmt.Sprintf(format, a...)))
	}
	for i := range stages {
		s := &stages[i]
		if !nameForm.MatchString(s.Name) {
			bad(s, "the name is not made of lower case letters, digits and single dashes")
		}
		if g.at[s.Name] != nil {
			bad(s, "there are two of that name")
		}
		if s.Run == nil {
			bad(s, "it has nothing to run")
		}
		for _, o := range s.Outputs {
			if !nameForm.MatchString(o) {
				bad(s, "output %q: not made of lower case letters, digits and single dashes", o)
			}
		}
		g.at[s.Name] = s
	}
	for i := range stages {
		g.check(&stages[i], bad)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return g, g.sort(stages)
}

func (g *Graph) check(s *Stage, bad func(*Stage, string, ...any)) {
	for _, n := range s.before() {
		if g.at[n] == nil {
			bad(s, "it needs %q, which does not exist", n)
		}
	}
	names := map[string]bool{}
	for _, in := range s.Inputs {
		if names[in.Name] {
			bad(s, "two inputs are called %q", in.Name)
		}
		names[in.Name] = true
		if in.stage == "" {
			continue
		}
		if from := g.at[in.stage]; from != nil && !slices.Contains(from.Outputs, in.output) {
			bad(s, "stage %q has no output %q", in.stage, in.output)
		}
		for _, h := range s.Uses {
			if holder := g.at[h]; holder != nil && !slices.Contains(holder.before(), in.stage) {
				bad(s, "it reads of %q, which %q, that it uses, does not need", in.stage, h)
			}
		}
	}
}

// before lists the stages that must have ended before this one begins, each once.
func (s *Stage) before() []string {
	all := slices.Concat(s.Needs, s.Uses)
	for _, in := range s.Inputs {
		if in.stage != "" {
			all = append(all, in.stage)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// sort orders the stages, and finds cycles.
func (g *Graph) sort(stages []Stage) error {
	const open, done = 1, 2
	mark := map[string]int{}
	var visit func(s *Stage, path []string) error
	visit = func(s *Stage, path []string) error {
		path = append(path, s.Name)
		switch mark[s.Name] {
		case done:
			return nil
		case open:
			return fmt.Errorf("the stages need each other in a circle: %v", path)
		}
		mark[s.Name] = open
		for _, n := range s.before() {
			if err := visit(g.at[n], path); err != nil {
				return err
			}
		}
		mark[s.Name] = done
		g.stages = append(g.stages, s)
		return nil
	}
	for i := range stages {
		if err := visit(&stages[i], nil); err != nil {
			return err
		}
	}
	return nil
}

// Names lists the stages, each after what it needs.
func (g *Graph) Names() []string {
	var all []string
	for _, s := range g.stages {
		all = append(all, s.Name)
	}
	return all
}

// closure returns the named stages and everything that they need.
func (g *Graph) closure(names []string) map[string]bool {
	chosen := map[string]bool{}
	var add func(string)
	add = func(n string) {
		if chosen[n] {
			return
		}
		chosen[n] = true
		for _, m := range g.at[n].before() {
			add(m)
		}
	}
	for _, n := range names {
		add(n)
	}
	return chosen
}

// after returns the named stages and everything that comes after one of them.
func (g *Graph) after(names []string) map[string]bool {
	chosen := map[string]bool{}
	for _, s := range g.stages {
		follows := slices.ContainsFunc(s.before(), func(n string) bool { return chosen[n] })
		if follows || slices.Contains(names, s.Name) {
			chosen[s.Name] = true
		}
	}
	return chosen
}

// Known refuses names that are no stage's.
func (g *Graph) Known(names []string) error {
	for _, n := range names {
		if g.at[n] == nil {
			return fmt.Errorf("no stage %q; there are %v", n, g.Names())
		}
	}
	return nil
}
