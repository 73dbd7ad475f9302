package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"time"
)

// execute runs a stage under its lock, and records what came of it as the very last thing.
func (x *execution) execute(ctx context.Context, n *node) error {
	weight := int64(1)
	if n.Heavy {
		weight = x.total
	}
	if err := x.slots.Acquire(ctx, weight); err != nil {
		return context.Cause(ctx)
	}
	s, closeLog, err := x.step(n)
	if err != nil {
		x.slots.Release(weight)
		return err
	}
	defer closeLog()
	defer os.RemoveAll(s.work)
	x.report(Event{Stage: n.Name, State: Running})
	began := x.now()
	err = x.work(ctx, n, s)
	x.slots.Release(weight)
	n.result.Began, n.result.Seconds, n.result.Facts = began.UTC(), x.now().Sub(began).Seconds(), maps.Clone(s.facts)
	if s.release != nil {
		err = errors.Join(err, x.hold(ctx, n, s, err == nil))
	}
	if err != nil {
		fmt.Fprintf(s.log, "failed: %v\n", err)
		return err
	}
	r := &record{Stage: n.Name, Version: n.Version, Inputs: n.result.Inputs, Facts: n.result.Facts, Began: n.result.Began, Seconds: n.result.Seconds}
	for _, name := range n.Outputs {
		out, err := x.keep(ctx, name, s.Out(name))
		if err != nil {
			return err
		}
		r.Outputs = append(r.Outputs, out)
	}
	if err := x.save(n.result.Key, r); err != nil {
		return err
	}
	x.take(n, r, Done)
	return nil
}

// step prepares what a stage is given.
func (x *execution) step(n *node) (*Step, func(), error) {
	s := &Step{stage: n.Stage, work: x.store.work(n.result.Key), in: map[string]string{}, held: map[string]any{}, report: x.report}
	for _, in := range n.Inputs {
		if in.stage != "" {
			s.in[in.Name] = x.nodes[in.stage].outputs[in.output]
		}
	}
	for _, h := range n.Uses {
		s.held[h] = x.nodes[h].held
	}
	if err := s.prepare(); err != nil {
		return nil, nil, err
	}
	if err := os.MkdirAll(filepath.Dir(n.result.Log), 0o755); err != nil {
		return nil, nil, fmt.Errorf("keep the log: %w", err)
	}
	log, err := os.Create(n.result.Log)
	if err != nil {
		return nil, nil, fmt.Errorf("keep the log: %w", err)
	}
	s.log = log
	return s, func() { _ = log.Close() }, nil
}

// work runs the stage's own code under its deadline.
func (x *execution) work(ctx context.Context, n *node, s *Step) error {
	limit := n.Deadline
	if limit == 0 {
		limit = DefaultDeadline
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("it was not done after %s, its deadline", limit))
	defer cancel()
	err := n.Run(ctx, s)
	if cause := context.Cause(ctx); err != nil && cause != nil && !errors.Is(err, cause) {
		return fmt.Errorf("%w (%w)", cause, err)
	}
	return err
}

// hold lets the users of a stage work, and gives back what it holds. It does the latter also when
// the stage has failed after it had begun to hold, and when the run was interrupted.
func (x *execution) hold(ctx context.Context, n *node, s *Step, held bool) error {
	if held {
		n.held, n.result.State = s.value, Running
		x.report(Event{Stage: n.Name, State: Running, Detail: "is held for what uses it"})
		close(n.ready)
		for _, u := range n.users {
			<-u.ended
		}
	}
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), ReleaseDeadline, fmt.Errorf("not given back after %s", ReleaseDeadline))
	defer cancel()
	began := time.Now()
	err := s.release(ctx)
	fmt.Fprintf(s.log, "given back in %s: %v\n", time.Since(began).Round(time.Millisecond), err)
	if err != nil {
		return fmt.Errorf("give back what it holds: %w", err)
	}
	return nil
}

// fail makes an error the result of a stage.
func (n *node) fail(err error) {
	n.result.State, n.result.Reason = Failed, err.Error()
	var unproven *UnprovenError
	if errors.As(err, &unproven) {
		n.result.State, n.result.Reason = Unproven, unproven.Reason
	}
	if errors.Is(err, context.Canceled) {
		n.result.Reason = "interrupted"
	}
	if n.result.Facts == nil {
		n.result.Facts = map[string]json.RawMessage{}
	}
}
