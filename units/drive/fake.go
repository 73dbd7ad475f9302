package drive

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// Fake is a Driver for tests. Its zero value accepts everything: a started unit becomes active,
// a stopped one inactive. Actions lists what was asked, such as "start a.service" and "reload".
type Fake struct {
	mu      sync.Mutex
	outcome func(Job) State
	fail    func(action string) error
	actions []string
	states  map[string]State
	more    func(unit string, status *Status)
	changed chan struct{}
}

// Decide has outcome decide the state that a job leaves its unit in; nil is the default again.
func (f *Fake) Decide(outcome func(Job) State) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.outcome = outcome
}

// FailWith has fail asked before each call with its action; its error is returned as is.
func (f *Fake) FailWith(fail func(action string) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = fail
}

// Detail has more complete the answers of Status, such as by restarts and an exit status.
func (f *Fake) Detail(more func(unit string, status *Status)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.more = more
}

// Actions returns what was asked so far.
func (f *Fake) Actions() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.actions)
}

// Forget clears the list of actions.
func (f *Fake) Forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.actions = nil
}

// Set puts a unit into a state, as if it had changed by itself.
func (f *Fake) Set(unit string, state State) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.set(unit, state)
}

func (f *Fake) set(unit string, state State) {
	if f.states == nil {
		f.states = map[string]State{}
	}
	f.states[unit] = state
	if f.changed != nil {
		close(f.changed)
		f.changed = nil
	}
}

func (f *Fake) record(action string) error {
	f.actions = append(f.actions, action)
	if f.fail != nil {
		return f.fail(action)
	}
	return nil
}

// Reload implements Driver.
func (f *Fake) Reload(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.record("reload")
}

// Queue implements Driver.
func (f *Fake) Queue(_ context.Context, jobs []Job) (<-chan error, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make(chan error, len(jobs))
	for _, job := range jobs {
		if err := f.record(fmt.Sprintf("%s %s", job.Action, job.Unit)); err != nil {
			return nil, err
		}
		state := State{Load: "loaded", Active: "active", Sub: "running"}
		if job.Action == Stop {
			state = State{Load: "loaded", Active: "inactive", Sub: "dead"}
		}
		if f.outcome != nil {
			state = f.outcome(job)
		}
		f.set(job.Unit, state)
		if state.Active == "failed" {
			out <- &JobError{Job: job, Result: "failed"}
		} else {
			out <- nil
		}
	}
	close(out)
	return out, nil
}

// States implements Driver.
func (f *Fake) States(_ context.Context, units []string) (map[string]State, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := map[string]State{}
	for _, unit := range units {
		state, ok := f.states[unit]
		if !ok {
			state = State{Load: "not-found", Active: "inactive", Sub: "dead"}
		}
		out[unit] = state
	}
	return out, nil
}

// Status implements Driver.
func (f *Fake) Status(ctx context.Context, unit string) (Status, error) {
	states, err := f.States(ctx, []string{unit})
	status := Status{State: states[unit], Result: "success", Type: "notify"}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.more != nil {
		f.more(unit, &status)
	}
	return status, err
}

// Changed implements Driver.
func (f *Fake) Changed() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.changed == nil {
		f.changed = make(chan struct{})
	}
	return f.changed
}
