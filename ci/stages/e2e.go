package stages

import (
	"context"
	"errors"
	"time"

	"slipway.build/slipway/ci/pipeline"
	"slipway.build/slipway/ci/report"
)

// runningVariable tells the harness to use a system that runs, and to leave it running.
const runningVariable = "SLIPWAY_TEST_SYSTEM"

// e2e runs the end-to-end tests against the cluster that boot holds.
func (c Config) e2e() pipeline.Stage {
	return pipeline.Stage{
		Name: "e2e", Title: "Run the end-to-end tests against that cluster", Version: 1, Heavy: true, Deadline: 30 * time.Minute, Uses: []string{"boot"},
		Inputs: []pipeline.Input{pipeline.Output("programs", "bin"), pipeline.Output("lock", "lock"),
			pipeline.Path("test/e2e", c.in("test", "e2e")), pipeline.Path("test/harness", c.in("test", "harness"))},
		Run: func(ctx context.Context, s *pipeline.Step) error {
			y := s.Held("boot").(System)
			tests := &goTest{suite: "end to end", log: s.Log(), say: func(name string) { s.Progress(name, 0, 0) }}
			err := s.Command(ctx, pipeline.Command{
				Dir: c.Root, Name: "go", Args: []string{"test", "-json", "-count=1", "-tags", "e2e", "-timeout", "25m", "./test/e2e"},
				Env: append(y.Env(), runningVariable+"="+y.State), Stdout: tests, Grace: time.Minute,
			})
			counts, refusal := tests.end()
			if refusal != nil {
				err = refusal
			}
			return errors.Join(err, s.Fact(report.TestsFact, counts))
		},
	}
}
