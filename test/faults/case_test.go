package faults

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/test/faults/tracer"
)

// errNotFired says that a transition came to its end without the step of the fault. How often the
// journal is written depends on how signals fall into batches, so such a case is tried again.
var errNotFired = errors.New("the fault did not fire")

// run makes one case and counts it. A failure is reported with the node's journal, and the world
// begins anew, so that the next case does not suffer from it.
func (w *world) run(t *tally, at, fault string, do func() (string, error)) {
	w.t.Helper()
	const tries = 4
	began := time.Now()
	var verdict string
	err := errNotFired
	for range tries {
		if verdict, err = do(); !errors.Is(err, errNotFired) {
			break
		}
	}
	w.control.disarm()
	w.control.open()
	w.control.release()
	w.disturb.Set(nil)
	w.plane.Disturb(nil)
	if err != nil {
		verdict = foundMixed
		w.t.Errorf("%s at %q: %v\nthe plane was told %v\n%s", fault, at, err, w.recent(), w.node.Journal(w.ctx, 60))
	}
	t.add(at, fault, verdict, time.Since(began))
	w.t.Logf("%s at %q: %s after %s", fault, at, verdict, time.Since(began).Round(time.Millisecond))
	if err != nil {
		w.restart()
	}
}

func (w *world) recent() []string {
	var out []string
	for _, signal := range w.plane.Signals() {
		if signal.Deployment == fmt.Sprintf("deployment-%d", w.counter) {
			out = append(out, string(signal.Phase)+" "+signal.Reason)
		}
	}
	return out
}

// restart clears the node, but for its identity, and brings it to two generations again.
func (w *world) restart() {
	w.t.Helper()
	must(w.t, w.node.PowerOff())
	must(w.t, w.clear())
	w.current, w.previous, w.steadyID = nil, nil, ""
	w.first()
}

// clear removes what is in the agent's directory, but for the node's identity and the strangers.
func (w *world) clear() error {
	for _, dir := range []string{"", "state"} {
		entries, err := os.ReadDir(w.node.State(dir))
		if err != nil {
			return err
		}
		for _, entry := range entries {
			name := filepath.Join(dir, entry.Name())
			if name == "state" || name == "state/identity" {
				continue
			}
			if err := os.RemoveAll(w.node.State(name)); err != nil {
				return err
			}
		}
	}
	w.strangers()
	return nil
}

// strike publishes a plan and waits until the fault has fired.
func (w *world) strike(s *shape, a *arming) error {
	a.name = w.namer(w.current, s)
	w.control.arm(a)
	w.publish(s)
	return w.awaitFired(s, a)
}

func (w *world) awaitFired(s *shape, a *arming) error {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); {
		select {
		case <-a.fired:
			return nil
		case err := <-w.control.errors:
			return fmt.Errorf("the tracer: %w", err)
		case <-ticker.C:
		}
		if !slices.Contains(w.phases(s), protocol.Healthy) {
			continue
		}
		// It is done, but for what comes after: once all is tidy, nothing comes any more.
		if err := w.whole(s, w.current); err != nil {
			continue
		}
		select {
		case <-a.fired:
			return nil
		case <-time.After(100 * time.Millisecond):
			return errors.Join(errNotFired, w.settle(s))
		}
	}
	return fmt.Errorf("%w, and the plan did not end", errNotFired)
}

// foundOnNode is found for a node that runs.
func (w *world) foundOnNode(s *shape) (string, error) {
	verdict, err := w.found(tree(w.node.State("")), s)
	if err == nil && verdict == foundOld && w.current == nil {
		err = w.runsNothing()
	}
	return verdict, err
}

// found says which generation is there whole, for the next start of whatever starts first.
func (w *world) found(d tree, s *shape) (string, error) {
	number, err := d.current()
	if err != nil {
		return foundMixed, err
	}
	switch {
	case number == s.number:
		return foundNew, d.holds(s)
	case w.current != nil && number == w.current.number:
		return foundOld, d.holds(w.current)
	case w.current == nil && number == 0:
		return foundOld, nil
	}
	return foundMixed, fmt.Errorf("current is generation %d", number)
}

// killed has the agent killed right before a step; the agent that starts again has to bring the
// node to the new generation.
func (w *world) killed(at step) func() (string, error) {
	return func() (string, error) {
		s := w.next()
		arrived := w.control.shut()
		if err := w.strike(s, &arming{step: at.name, nth: at.nth, fault: kill}); err != nil {
			w.control.open()
			return "", err
		}
		select {
		case <-arrived:
		case <-time.After(limit):
			return "", errors.New("the agent did not start again")
		}
		verdict, err := w.foundOnNode(s)
		if err != nil {
			return verdict, fmt.Errorf("with the agent dead: %w", err)
		}
		w.control.disarm()
		w.control.open()
		return verdict, w.settle(s)
	}
}

// refused has one call answered with an error, once.
func (w *world) refused(at step, errno unix.Errno) func() (string, error) {
	return func() (string, error) {
		s := w.next()
		if err := w.strike(s, &arming{step: at.name, nth: at.nth, fault: answer(errno)}); err != nil {
			return "", err
		}
		return w.settleEither(s)
	}
}

// full has no byte fit on the disk from a step on, for a while.
func (w *world) full(at step, lasting time.Duration) func() (string, error) {
	return func() (string, error) {
		s := w.next()
		a := &arming{step: at.name, nth: at.nth, fault: answer(unix.ENOSPC)}
		var until time.Time
		a.after = func(call *tracer.Call, name string) tracer.Verdict {
			if until.IsZero() {
				until = time.Now().Add(lasting)
			}
			if grows(call) && call.Tree(plan.Root) && time.Now().Before(until) {
				return tracer.Verdict{Errno: unix.ENOSPC}
			}
			return tracer.Verdict{}
		}
		if err := w.strike(s, a); err != nil {
			return "", err
		}
		return w.settleEither(s)
	}
}

// grows reports whether a call needs space on the disk.
func grows(call *tracer.Call) bool {
	switch call.Name {
	case "write", "mkdir", "symlink", "link", "fallocate":
		return true
	case "open":
		return call.Flags&unix.O_CREAT != 0
	}
	return false
}

// fits reports whether a call can fail with an error, going by its manual page.
func fits(at step, errno unix.Errno) bool {
	name := at.name
	for i := range name {
		if name[i] == ' ' {
			name = name[:i]
			break
		}
	}
	switch name {
	case "systemd", "exec":
		return false
	case "open", "write", "mkdir", "symlink", "link", "fallocate", "rename":
		return true
	case "sync", "chmod", "unlink", "rmdir", "truncate":
		return errno == unix.EIO
	}
	return false
}

// settleEither waits until the node runs the new generation, or has given it up and runs the old.
func (w *world) settleEither(s *shape) (string, error) {
	err := w.eventually(limit, func() error {
		phases := w.phases(s)
		if slices.Contains(phases, protocol.Healthy) || slices.Contains(phases, protocol.Failed) {
			return nil
		}
		return fmt.Errorf("no verdict, only %v", phases)
	})
	if err != nil {
		return foundMixed, err
	}
	if slices.Contains(w.phases(s), protocol.Healthy) {
		return foundNew, w.settle(s)
	}
	if w.current == nil {
		return foundOld, w.eventually(limit, func() error { return w.nothing(s) })
	}
	return foundOld, w.settle(w.current)
}
