package stages

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/ci/conformance"
	"slipway.build/slipway/ci/pipeline"
	"slipway.build/slipway/ci/report"
)

// slipwayScript notes how it was called; its up makes the state with a lock, its down removes it.
const slipwayScript = `#!/bin/sh
echo "$*" >> %[1]s/calls
case $1 in
up) mkdir -p "$SLIPWAY_STATE/control/lock"; cp %[2]s "$SLIPWAY_STATE/control/lock/images.yaml"; exit %[3]d;;
down) rm -rf "$SLIPWAY_STATE";;
esac
`

// examined runs the stage with a Slipway that only says what it was asked for, whose up ends with a
// code, and returns how it ended, its calls, and how often the machine was taken and given back.
func examined(ctx context.Context, t *testing.T, up int, published string, examine func(context.Context, conformance.Options) (*conformance.Result, error)) (pipeline.StageResult, string, [2]int) {
	t.Helper()
	root, locked := t.TempDir(), "../../images.yaml"
	if published == "" {
		published = locked
	}
	published, err := filepath.Abs(published)
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"ci/conformance", "examples"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "examples", "cluster-create.json"), []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	var machine [2]int
	c, err := Config{Root: root, Keys: t.TempDir(), State: filepath.Join(t.TempDir(), "state"), examine: examine, claim: func(context.Context, *pipeline.Step, string) (func(), error) {
		machine[0]++
		return func() { machine[1]++ }, nil
	}}.complete()
	if err != nil {
		t.Fatal(err)
	}
	nothing := func(context.Context, *pipeline.Step) error { return nil }
	g, err := pipeline.NewGraph(
		pipeline.Stage{Name: "programs", Outputs: []string{"bin"}, Run: func(_ context.Context, s *pipeline.Step) error {
			if err := os.MkdirAll(s.Out("bin"), 0o755); err != nil {
				return err
			}
			for _, name := range programNames {
				if err := os.WriteFile(filepath.Join(s.Out("bin"), name), fmt.Appendf(nil, slipwayScript, root, published, up), 0o755); err != nil {
					return err
				}
			}
			return nil
		}},
		pipeline.Stage{Name: "lock", Outputs: []string{"lock"}, Run: func(_ context.Context, s *pipeline.Step) error {
			text, err := os.ReadFile(locked)
			if err != nil {
				return err
			}
			return os.WriteFile(s.Out("lock"), text, 0o644)
		}},
		pipeline.Stage{Name: "conformance-tests", Run: nothing}, pipeline.Stage{Name: "boot", Run: nothing}, c.conformance())
	if err != nil {
		t.Fatal(err)
	}
	r, err := g.Run(ctx, pipeline.Options{Cache: t.TempDir()})
	if r == nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(c.State); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the cluster's state is still there: %v", err)
	}
	calls, err := os.ReadFile(filepath.Join(root, "calls"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range r.Stages {
		if s.Name == "conformance" {
			return s, strings.ReplaceAll(strings.TrimSpace(string(calls)), "\n", ", "), machine
		}
	}
	t.Fatal("there is no such stage")
	return pipeline.StageResult{}, "", machine
}

// result is what the suite came to.
func result(held bool, ran, passed int) *conformance.Result {
	return &conformance.Result{Kubernetes: "v1.36.3", Suite: "focus", Held: held, Counts: conformance.Counts{Wanted: 3, Ran: ran, Passed: passed, Failed: ran - passed}}
}

func TestTheConformanceClusterIsDeletedHoweverTheTestsEnd(t *testing.T) {
	const whole = "down, up --masters 1 --nodes 2, down"
	other := filepath.Join(t.TempDir(), "other.yaml")
	text, err := os.ReadFile("../../images.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(other, []byte(strings.Replace(string(text), "\nnumber: ", "\nnumber: 9", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	interrupted, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	for _, c := range []struct {
		name      string
		ctx       context.Context
		up        int
		published string
		result    *conformance.Result
		err       error
		state     pipeline.State
		reason    string
	}{
		{name: "all passed", result: result(true, 3, 3), state: pipeline.Done},
		{name: "one failed", result: result(false, 3, 2), err: fmt.Errorf("%w: 2 of 3 passed", conformance.ErrNotHeld), state: pipeline.Failed, reason: "2 of 3 passed"},
		{name: "none ran", result: result(false, 0, 0), state: pipeline.Failed, reason: "0 of 3 passed"},
		{name: "none ran, and the gate has not noticed", result: result(true, 0, 0), state: pipeline.Failed, reason: "0 of 3 passed"},
		{name: "nothing was judged", err: errors.New("no node"), state: pipeline.Failed, reason: "no node"},
		{name: "there is no result", state: pipeline.Failed, reason: "have no result"},
		{name: "interrupted", ctx: interrupted, state: pipeline.Failed, reason: "interrupted"},
		{name: "the cluster does not come up", up: 1, state: pipeline.Failed, reason: "exit status 1"},
		{name: "the nodes follow another lock", published: other, state: pipeline.Failed, reason: "the nodes follow lock"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx := c.ctx
			if ctx == nil {
				ctx = t.Context()
			}
			began := false
			s, calls, machine := examined(ctx, t, c.up, c.published, func(ctx context.Context, o conformance.Options) (*conformance.Result, error) {
				began = true
				if _, err := os.Stat(o.State); err != nil || o.All || o.Focus != "" {
					t.Errorf("options %+v: %v", o, err)
				}
				if c.ctx != nil {
					interrupt()
					<-ctx.Done()
					return nil, context.Cause(ctx)
				}
				return c.result, errors.Join(c.err, os.MkdirAll(o.Output, 0o755))
			})
			if s.State != c.state || !strings.Contains(s.Reason, c.reason) {
				t.Errorf("it is %s: %s", s.State, s.Reason)
			}
			if calls != whole || machine != [2]int{1, 1} {
				t.Errorf("calls %q; the machine was taken and given back %v times", calls, machine)
			}
			if want := c.up == 0 && c.published == ""; began != want {
				t.Errorf("tests began: %v", began)
			}
			var tests report.Tests
			if there, err := s.Fact(report.TestsFact, &tests); err != nil || there != (c.result != nil) || there && (tests.Wanted != 3 || tests.Passed != c.result.Passed || tests.Failed != c.result.Failed) {
				t.Errorf("the counts: %v, %+v, %v", there, tests, err)
			}
		})
	}
}

// The cluster of boot is gone before another one is made.
func TestConformanceComesAfterTheOtherCluster(t *testing.T) {
	g, err := New(Config{Root: "/somewhere", Keys: t.TempDir(), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	plans, err := g.Plan(t.Context(), pipeline.Options{Cache: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range plans {
		if p.Name == "conformance" && (!strings.Contains(strings.Join(p.After, " "), "boot") || len(p.Uses) > 0 || !p.Heavy) {
			t.Errorf("%+v", p)
		}
	}
}
