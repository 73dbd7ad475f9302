package system

import (
	"context"
	"fmt"
	"sync"
	"time"

	"slipway.build/slipway/cmd/slipway/internal/progress"
)

// Phase is one line of the table at the end.
type Phase struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
	Result  string  `json:"result,omitempty"`
}

// steps runs named steps, shows them and remembers how long each took.
type steps struct {
	report progress.Reporter

	mu     sync.Mutex
	phases []Phase
}

// detail lets a running step say what it is doing.
type detail func(format string, a ...any)

// run does one step. What it returns is shown as its result; an error is given the step's
// name.
func (s *steps) run(ctx context.Context, name string, do func(ctx context.Context, say detail) (string, error)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	begun := time.Now()
	show := func(state progress.State, text string) {
		s.report.Report(progress.Update{Task: "step/" + name, Label: name, State: state, Detail: text})
	}
	show(progress.Running, "")
	result, err := do(ctx, func(format string, a ...any) { show(progress.Running, fmt.Sprintf(format, a...)) })
	if err != nil {
		if ctx.Err() == nil {
			show(progress.Failed, err.Error())
		}
		return fmt.Errorf("%s: %w", name, err)
	}
	show(progress.Done, result)
	s.add(Phase{Name: name, Seconds: time.Since(begun).Seconds(), Result: result})
	return nil
}

func (s *steps) add(p Phase) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.phases = append(s.phases, p)
}
