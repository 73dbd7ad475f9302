package stages

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"slipway.build/slipway/ci/conformance"
	"slipway.build/slipway/ci/pipeline"
	"slipway.build/slipway/ci/report"
)

// suiteSources are the inputs of both stages about conformance.
func (c Config) suiteSources() []pipeline.Input {
	return []pipeline.Input{pipeline.Sources("ci/conformance", c.in("ci", "conformance"), pipeline.WithoutTests)}
}

// conformanceTests compiles Kubernetes' own tests before a cluster waits for them.
func (c Config) conformanceTests() pipeline.Stage {
	return pipeline.Stage{
		Name: "conformance-tests", Title: "Compile Kubernetes' own tests and make their images", Version: 1, Deadline: time.Hour,
		Inputs: c.suiteSources(),
		Run: func(ctx context.Context, s *pipeline.Step) error {
			_, err := conformance.Prepare(ctx, c.suite(s, System{Root: c.Root}))
			return err
		},
	}
}

// conformance runs a focus of Kubernetes' conformance tests on a cluster of its own with two workers,
// which several of the tests need, once the one that boot holds is gone: there is one Slipway at a time
// on a machine. All of the tests are `make conformance`.
func (c Config) conformance() pipeline.Stage {
	return pipeline.Stage{
		Name: "conformance", Title: "Run some of Kubernetes' conformance tests against a master and two workers", Version: 2, Heavy: true, Deadline: 45 * time.Minute,
		Needs:   []string{"conformance-tests", "boot"},
		Inputs:  append(c.suiteSources(), pipeline.Output("programs", "bin"), pipeline.Output("lock", "lock"), c.request()),
		Outputs: []string{"results"},
		Run: func(ctx context.Context, s *pipeline.Step) error {
			y, err := c.up(ctx, s, 2)
			if err != nil {
				return err
			}
			_, same, err := y.compareLock(s)
			if err != nil {
				return err
			}
			o := c.suite(s, y)
			o.Output = s.Out("results")
			r, err := c.examine(ctx, o)
			if r == nil {
				if err == nil {
					err = errors.New("the conformance tests have no result")
				}
				return err
			}
			if err == nil && (!r.Held || r.Passed == 0) { // a gate that says nothing is none
				err = fmt.Errorf("%w: %d of %d passed", conformance.ErrNotHeld, r.Passed, r.Wanted)
			}
			return errors.Join(err, s.Fact(report.TestsFact, suiteTests(r)), s.Fact(report.ChecksFact, []report.Check{same}))
		},
	}
}

// suite are the options of both stages.
func (c Config) suite(s *pipeline.Step, y System) conformance.Options {
	return conformance.Options{
		Tree: y.Root, Slipway: filepath.Join(y.Root, "bin", "slipway"), State: y.State, Cluster: y.Cluster, Output: s.Scratch(), Log: s.Log(),
		Report: func(p conformance.Progress) {
			if p.Total > 0 {
				s.Progress(fmt.Sprintf("%d failed", p.Failed), int64(p.Done), int64(p.Total))
				return
			}
			s.Say("%s: %s", p.Step, p.Text)
		},
	}
}

// suiteTests are the counts of the conformance gate.
func suiteTests(r *conformance.Result) report.Tests {
	t := report.Tests{
		Suite: fmt.Sprintf("conformance of Kubernetes %s (%s)", r.Kubernetes, r.Suite), Wanted: r.Wanted,
		Passed: r.Passed, Failed: r.Failed - r.Expected, Expected: r.Expected, Skipped: r.Skipped,
	}
	for _, f := range r.Failures {
		state := "failed"
		if f.Expected != "" {
			state = "expected"
		}
		t.Cases = append(t.Cases, report.Case{Name: f.Name, State: state, Reason: tail(f.Reason), Expected: f.Expected})
	}
	return t
}
