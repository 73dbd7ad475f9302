package faults

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"
	"golang.org/x/sys/unix"

	"slipway.build/slipway/agent/journal"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/agent/status"
)

// A node's first generation has nothing before it: "old" is a node that runs nothing, and there is
// nothing to go back to. What a case of this family needs is made anew for each: a node that has
// joined and otherwise has nothing, whose agent starts when the plan is there already.

// firstTime begins the names of the steps of a first generation.
const firstTime = "first plan: "

// onEmpty has a case happen to an empty node.
func onEmpty(cases []one) []one {
	out := make([]one, len(cases))
	for i, c := range cases {
		out[i] = one{firstTime + c.at, c.fault, func(w *world) func() (string, error) {
			do := c.make(w)
			return func() (string, error) {
				if err := w.emptied(); err != nil {
					return foundMixed, fmt.Errorf("empty the node: %w", err)
				}
				return do()
			}
		}}
	}
	return out
}

// firstCases returns every case of a first generation that needs a node.
func firstCases(steps []step) []one {
	var out []one
	for _, part := range [][]one{brokenFirst(), registries(), signals(), fullDisks(), clocks(spread(steps, 3)), replaced(spread(takenUp(steps), 12)), reboots(spread(steps, 12)), calls(steps)} {
		out = append(out, part...)
	}
	return onEmpty(out)
}

// takenUp returns the steps from the first on that shows that the plan was taken up: an agent that still
// opens its journal has no plan in hand that a newer one could replace, and asks for no other.
func takenUp(steps []step) []step {
	return steps[max(0, slices.IndexFunc(steps, func(s step) bool { return strings.Contains(s.name, "images/") })):]
}

// emptied takes everything from the node but its identity and what the agent never wrote. Its
// agent has been killed, and the next one waits until the next plan is published.
func (w *world) emptied() error {
	ctx, cancel := context.WithTimeout(w.ctx, limit)
	defer cancel()
	arrived := w.control.shut()
	_ = w.systemd.KillUnitWithTarget(ctx, plan.AgentUnit, dbus.All, int32(unix.SIGKILL)) // it may be starting just now
	select {
	case <-arrived:
	case <-ctx.Done():
		return errors.New("the agent did not start again")
	}
	w.control.keep()
	for _, name := range components() {
		ended := make(chan string, 1)
		if _, err := w.systemd.StopUnitContext(ctx, name, "replace", ended); err != nil {
			continue // systemd does not know it
		}
		select {
		case <-ended:
		case <-ctx.Done():
			return fmt.Errorf("%s does not stop", name)
		}
	}
	if err := w.clear(); err != nil {
		return err
	}
	root := fmt.Sprintf("/proc/%d/root", w.node.Leader())
	for _, name := range []string{status.Path, "/run/containerd/containerd.sock", "/run/steady.sock", "/run/single.sock"} {
		if err := os.RemoveAll(filepath.Join(root, name)); err != nil {
			return err
		}
	}
	w.current, w.previous, w.steadyID = nil, nil, ""
	for _, name := range components() {
		_ = w.systemd.ResetFailedUnitContext(ctx, name) // most have not failed
	}
	return w.systemd.ReloadContext(ctx)
}

// after makes the plan that follows one that was not confirmed. What they have in common runs on, and
// would keep what it has mounted of the first.
func (w *world) after(s *shape) *shape {
	current := w.current
	defer func() { w.current = current }()
	w.current = s
	return w.next()
}

// components are the units that plans have.
func components() []string { return []string{alpha, beta, steady, odd, even} }

// runsNothing checks that there is no current generation, and that systemd neither knows nor runs
// a component.
func (w *world) runsNothing() error {
	number, err := tree(w.node.State("")).current()
	if err != nil || number != 0 {
		return fmt.Errorf("current is generation %d, want none (%w)", number, err)
	}
	ctx, cancel := context.WithTimeout(w.ctx, limit)
	defer cancel()
	for _, name := range components() {
		state, err := w.systemd.GetUnitPropertyContext(ctx, name, "LoadState")
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if load := state.Value.Value(); load != "not-found" {
			return fmt.Errorf("%s is %v, and there is no generation", name, load)
		}
		if left := w.node.Processes(name); len(left) != 0 {
			return fmt.Errorf("%s has %d processes, and there is no generation", name, len(left))
		}
	}
	return nil
}

// nothing checks that the node has given up its first plan, says so, and has nothing left of it.
func (w *world) nothing(s *shape) error {
	if err := w.runsNothing(); err != nil {
		return err
	}
	if err := tree(w.node.State("")).tidy(); err != nil {
		return err
	}
	return errors.Join(w.gaveUp(s), w.alone())
}

// gaveUp checks that journal and control plane agree on a plan that has failed and was not undone.
func (w *world) gaveUp(s *shape) error {
	entries, queued, err := memory(w.node.State(""))
	if err != nil {
		return err
	}
	last := entries[len(entries)-1]
	if last.Generation != s.number || last.Step != journal.Abandoned || last.Reason == "" || len(last.Jobs) > 0 {
		return fmt.Errorf("the journal has generation %d as %s for %q with jobs %v", last.Generation, last.Step, last.Reason, last.Jobs)
	}
	if len(queued) > 0 {
		return fmt.Errorf("%d signals are still in the outbox", len(queued))
	}
	phases := w.phases(s)
	if i := slices.Index(phases, protocol.Failed); i < 0 || i != len(phases)-1 {
		return fmt.Errorf("the control plane was told %v of generation %d, want an end of %s", phases, s.number, protocol.Failed)
	}
	return nil
}

// brokenFirst returns the cases of components that do not get ready in a first generation. There is
// nothing to go back to: it stays, whole, and the next plan puts it right.
func brokenFirst() []one {
	var out []one
	for fault, change := range map[string]func(*plan.Unit){
		"a component that ends at once":                        func(u *plan.Unit) { u.Exec.Args = []string{"--fail"}; limits(u) },
		"a component that hangs in start":                      func(u *plan.Unit) { u.Exec.Args = append(u.Exec.Args, "--deaf") },
		"a component that needs a directory that is not there": func(u *plan.Unit) { u.Text += "BindReadOnlyPaths=/nowhere\n"; limits(u) },
	} {
		out = append(out, one{"start of " + beta, fault, func(w *world) func() (string, error) {
			return func() (string, error) { return w.stays(change) }
		}})
	}
	slices.SortFunc(out, func(a, b one) int { return strings.Compare(a.fault, b.fault) })
	return out
}

// stays publishes a first plan that fails after its switch, has the agent start again, which must
// not tell or do anything twice, and then has a plan come that is well.
func (w *world) stays(change func(*plan.Unit)) (string, error) {
	s := w.next(func(p *plan.Plan) {
		change(unitOf(p, beta))
		p.Deadline = plan.Duration(4 * time.Second)
	})
	w.publish(s)
	stayed := func() error {
		d := tree(w.node.State(""))
		number, err := d.current()
		if err != nil || number != s.number {
			return fmt.Errorf("current is generation %d, want %d (%w)", number, s.number, err)
		}
		if err := errors.Join(d.holds(s), d.tidy(s), w.gaveUp(s), w.alone()); err != nil {
			return err
		}
		return w.told(s, protocol.Joined, protocol.Staged, protocol.Switched, protocol.Failed)
	}
	if err := w.eventually(limit, stayed); err != nil {
		return foundMixed, err
	}
	if reason := w.signal(s, protocol.Failed).Reason; !strings.Contains(reason, beta) {
		return foundMixed, fmt.Errorf("the reason does not name %s: %s", beta, reason)
	}
	polls := w.plane.Polls()
	w.control.killAgent()
	if err := w.eventually(limit, func() error { return morePolls(w, polls+1) }); err != nil {
		return foundMixed, err
	}
	if err := w.eventually(limit, stayed); err != nil {
		return foundMixed, fmt.Errorf("after another start of the agent: %w", err)
	}
	well := w.after(s)
	w.publish(well)
	return foundNew, w.settle(well)
}
