package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// Step is a stage at work: what Stage.Run is given.
type Step struct {
	stage  *Stage
	work   string
	in     map[string]string // input name to path
	held   map[string]any
	log    io.Writer
	report func(Event)

	mu      sync.Mutex
	facts   map[string]json.RawMessage
	value   any
	release func(context.Context) error
}

// Scratch is a directory of the stage's own, which is removed when it has ended.
func (s *Step) Scratch() string { return filepath.Join(s.work, "scratch") }

// Out is where the stage makes a declared output.
func (s *Step) Out(name string) string {
	if !slices.Contains(s.stage.Outputs, name) {
		panic(fmt.Sprintf("stage %s has declared no output %s", s.stage.Name, name))
	}
	return filepath.Join(s.work, "out", name)
}

// In is what another stage has made, which the stage has declared as an input. It is shared and
// must not be changed.
func (s *Step) In(stage, output string) string {
	path, ok := s.in[stage+"/"+output]
	if !ok {
		panic(fmt.Sprintf("stage %s has declared no input %s/%s", s.stage.Name, stage, output))
	}
	return path
}

// Log takes what is worth keeping of the stage's work, line by line.
func (s *Step) Log() io.Writer { return s.log }

// Say shows what the stage does right now, and logs it.
func (s *Step) Say(format string, a ...any) {
	text := fmt.Sprintf(format, a...)
	fmt.Fprintln(s.log, text)
	s.report(Event{Stage: s.stage.Name, State: Running, Detail: text})
}

// Progress shows how far the stage is with what it does right now.
func (s *Step) Progress(what string, done, total int64) {
	s.report(Event{Stage: s.stage.Name, State: Running, Detail: what, Done: done, Total: total})
}

// Fact keeps something that the stage has found out, for the report; v is written as JSON.
func (s *Step) Fact(name string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("fact %s: %w", name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.facts == nil {
		s.facts = map[string]json.RawMessage{}
	}
	s.facts[name] = text
	return nil
}

// Unproven makes the error with which a stage says that it could not do its work, and that nothing
// was found wrong either.
func (s *Step) Unproven(format string, a ...any) error {
	return &UnprovenError{fmt.Sprintf(format, a...)}
}

// Hold keeps something for the stages that use this one. release gives it back once the last of
// them has ended, in every case once Hold was called, with a context of its own; an error of it
// fails this stage.
func (s *Step) Hold(value any, release func(context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.value, s.release = value, release
}

// Held is what a stage that this one uses holds.
func (s *Step) Held(stage string) any { return s.held[stage] }

// prepare makes fresh directories.
func (s *Step) prepare() error {
	if err := os.RemoveAll(s.work); err != nil {
		return fmt.Errorf("clear the work directory: %w", err)
	}
	for _, dir := range []string{s.Scratch(), filepath.Join(s.work, "out")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make the work directory: %w", err)
		}
	}
	return nil
}
