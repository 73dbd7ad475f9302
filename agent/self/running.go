package self

import (
	"path/filepath"

	"slipway.build/slipway/agent/fault"
)

// Running is the agent that does the work, and what it was started as.
type Running struct {
	State  string // the agent's state directory
	SHA256 string // of the program that was launched; "" is the OS layer's own
}

// As returns the running agent of this process.
func As(state string, env []string) *Running { return &Running{State: state, SHA256: launched(env)} }

// Differs reports whether the generation in dir wants another program in the agent's place than
// the one that runs. A terminal error says that its program was tried and is no good.
func (r *Running) Differs(dir string) (bool, error) {
	p, err := ReadProgram(dir)
	if err != nil {
		return false, err
	}
	if p == nil {
		return r.SHA256 != "", nil
	}
	if p.SHA256 == r.SHA256 {
		return false, nil
	}
	trial, err := record{r.State}.read()
	if err != nil {
		return false, err
	}
	if why := trial.spent(); trial.of(p) && why != "" {
		return false, fault.Terminalf("the agent of image %s did not get to work: %s", p.Image, why)
	}
	return true, nil
}

// Working notes that the program gets its work done, so that its next starts count from zero.
// proven says that it has confirmed its own generation, which ends its trial.
func (r *Running) Working(proven bool) error {
	if r.SHA256 == "" {
		return nil
	}
	notes := record{r.State}
	trial, err := notes.read()
	if err != nil || trial.SHA256 != r.SHA256 {
		return err
	}
	next := trial
	next.Proven = trial.Proven || proven
	if next.Proven {
		next.Starts = 0
	}
	if next == trial {
		return nil
	}
	return notes.write(next)
}

// Expire ends the trial of a program that has not proven itself, and reports whether there was one.
func Expire(root string) (bool, error) {
	p, err := ReadProgram(filepath.Join(root, "current"))
	if err != nil || p == nil {
		return false, err
	}
	notes := record{filepath.Join(root, "state")}
	trial, err := notes.read()
	if err != nil || !trial.of(p) || trial.Proven || trial.Failed != "" {
		return false, err
	}
	trial.Failed = "it did not confirm its generation within " + p.Deadline.String()
	return true, notes.write(trial)
}
