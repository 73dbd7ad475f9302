package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// State is how a stage is or has ended.
type State string

// The states; all but the first three end a stage.
const (
	Queued   State = "queued"   // something that it needs has not ended
	Waiting  State = "waiting"  // for a slot, or for another run that does the same
	Running  State = "running"  // it comes again with everything that the stage says
	Done     State = "done"     // it was run, and held
	Cached   State = "cached"   // it held before, with the same inputs
	Failed   State = "failed"   // Reason says why
	Blocked  State = "blocked"  // something that it needs has not held; Root says which
	Unproven State = "unproven" // it could not be done here, and nothing is claimed; Reason says why
)

// Ended reports whether the stage's state changes no more.
func (s State) Ended() bool { return s != Queued && s != Waiting && s != Running }

// Held reports whether the stage has shown what it is there to show.
func (s State) Held() bool { return s == Done || s == Cached }

// Event is news of a stage.
type Event struct {
	Stage  string
	State  State
	Detail string
	// Done of Total, where the stage counts; 0 where not.
	Done, Total int64
}

// StageResult is how a stage has ended.
type StageResult struct {
	Name    string                     `json:"name"`
	Title   string                     `json:"title"`
	Version int                        `json:"version"`
	State   State                      `json:"state"`
	Reason  string                     `json:"reason,omitempty"`
	Root    string                     `json:"root,omitempty"` // the stage that is why this one is blocked
	After   []string                   `json:"after,omitempty"`
	Key     string                     `json:"key,omitempty"`
	Inputs  []InputDigest              `json:"inputs,omitempty"`
	Outputs []OutputDigest             `json:"outputs,omitempty"`
	Facts   map[string]json.RawMessage `json:"facts,omitempty"`
	Began   time.Time                  `json:"began,omitzero"`
	Seconds float64                    `json:"seconds"` // of the run that made the result
	Log     string                     `json:"log,omitempty"`
}

// Result is how a run has ended.
type Result struct {
	Began   time.Time     `json:"began"`
	Seconds float64       `json:"seconds"`
	Stages  []StageResult `json:"stages"`
	Pruned  Pruned        `json:"pruned,omitzero"` // from the cache, after the run
}

// Held reports whether every stage has held; an unproven one has not.
func (r *Result) Held() bool {
	for _, s := range r.Stages {
		if !s.State.Held() {
			return false
		}
	}
	return len(r.Stages) > 0
}

// Err is nil if nothing failed; else it names the stages that did, and not what only depends on
// them.
func (r *Result) Err() error {
	var roots []error
	for _, s := range r.Stages {
		if s.State == Failed {
			roots = append(roots, fmt.Errorf("stage %s: %s", s.Name, s.Reason))
		}
	}
	return errors.Join(roots...)
}

// Fact decodes a fact of a stage; it reports false when the stage has none of that name.
func (s *StageResult) Fact(name string, into any) (bool, error) {
	text, ok := s.Facts[name]
	if !ok {
		return false, nil
	}
	if err := json.Unmarshal(text, into); err != nil {
		return false, fmt.Errorf("fact %s of stage %s: %w", name, s.Name, err)
	}
	return true, nil
}

// UnprovenError ends a stage that could not be done, as Step.Unproven makes it.
type UnprovenError struct{ Reason string }

func (e *UnprovenError) Error() string { return "unproven: " + e.Reason }
