package faults

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"slipway.build/slipway/agent/daemon"
	"slipway.build/slipway/agent/generator"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/agent/pull"
	"slipway.build/slipway/test/faults/disk"
	"slipway.build/slipway/test/faults/tracer"
	"slipway.build/slipway/units/drive"
)

// loss is one tree that a power loss may leave, and where it came from.
type loss struct {
	at     string
	policy string
	tree   *disk.Tree
}

// recording is an undisturbed transition, call by call.
type recording struct {
	label    string // begins the names of its steps
	from, to *shape
	previous *shape
	disk     *disk.Disk
	calls    []*tracer.Call
	names    []string
}

// recordWrites applies a plan undisturbed and keeps its calls with the bytes.
func (w *world) recordWrites(label string) *recording {
	w.t.Helper()
	d, err := disk.Load(w.node.State(""), plan.Root)
	must(w.t, err)
	r := &recording{label: label, from: w.current, to: w.next(), previous: w.previous, disk: d}
	name := w.namer(r.from, r.to)
	w.control.watch(func(call *tracer.Call, step string) {
		if call.Tree(plan.Root) && step != "" {
			r.calls, r.names = append(r.calls, call), append(r.names, name(call))
		}
	})
	defer w.control.watch(nil)
	w.publish(r.to)
	must(w.t, w.settle(r.to))
	return r
}

// sample says how many of the power losses are tried.
type sample struct {
	everyNth int
	random   int // policies that choose at random what is lost
	inNode   int // of them that the node boots with
}

// both are the generations that a node keeps: the current one, and the one before if there is one.
func both(current, before *shape) []*shape {
	if before == nil {
		return []*shape{current}
	}
	return []*shape{current, before}
}

// losses replays every prefix of a recording under each policy and returns the trees that differ
// from all those before.
func (r *recording) losses(policies []disk.Policy) []loss {
	var out []loss
	seen := map[string]bool{}
	count := map[string]int{}
	for i := -1; i < len(r.calls); i++ {
		at := "nothing"
		if i >= 0 {
			r.disk.Apply(r.calls[i])
			count[r.names[i]]++
			at = step{r.names[i], count[r.names[i]]}.String()
		}
		for _, policy := range policies {
			tree := r.disk.Crash(policy)
			if sum := tree.Sum(); !seen[sum] {
				seen[sum] = true
				out = append(out, loss{r.label + "after " + at, policy.Name, tree})
			}
		}
	}
	return out
}

// recover runs the agent's real code on a replayed tree, with a systemd of the test's that has
// just booted, until the node is what the plan says.
func (w *world) recover(r *recording, l loss, dir string) (string, error) {
	d := tree(dir)
	if err := os.RemoveAll(dir); err != nil {
		return foundMixed, err
	}
	if err := l.tree.Write(dir); err != nil {
		return foundMixed, err
	}
	w.current = r.from
	verdict, err := w.found(d, r.to)
	if err != nil {
		return verdict, fmt.Errorf("before the agent starts: %w", err)
	}
	systemd := &drive.Fake{}
	started, err := generator.StartList(d.path("current"))
	if err != nil {
		return foundMixed, err
	}
	for _, unit := range started {
		systemd.Set(unit, drive.State{Load: "loaded", Active: "active", Sub: "running"})
	}
	w.plane.Forget()
	ctx, cancel := context.WithCancel(w.ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- daemon.Run(ctx, w.inProcess(dir, systemd), slog.New(slog.DiscardHandler)) }()
	err = w.eventually(limit, func() error { return w.recovered(d, r, systemd) })
	cancel()
	if runErr := <-ended; runErr != nil && !errors.Is(runErr, context.Canceled) {
		err = errors.Join(err, runErr)
	}
	return verdict, err
}

// inProcess is an agent's configuration for a replayed tree.
func (w *world) inProcess(dir string, systemd *drive.Fake) daemon.Config {
	return daemon.Config{
		ConfigFile: w.node.Path(plan.AgentConfig), Root: dir, TrustDir: w.node.Path(plan.TrustDir),
		BakedLock: w.node.Path(plan.BakedLock), StatusFile: dir + ".status", ImportTool: "/bin/true", Socket: w.runtime(),
		Systemd:  func(context.Context) (drive.Driver, error) { return systemd, nil },
		Registry: pull.NewClient(),
	}
}

// runtime is a socket that accepts connections, as a pods' runtime does.
func (w *world) runtime() string {
	path := w.node.Shared("runtime.sock")
	if _, err := os.Stat(path); err == nil {
		return path
	}
	listener, err := net.Listen("unix", path)
	must(w.t, err)
	w.t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
		}
	}()
	return path
}

// recovered checks a replayed tree as whole does a node.
func (w *world) recovered(d tree, r *recording, systemd *drive.Fake) error {
	number, err := d.current()
	if err != nil {
		return err
	}
	if number != r.to.number {
		return fmt.Errorf("current is generation %d", number)
	}
	if err := d.holds(r.to); err != nil {
		return err
	}
	if err := d.tidy(both(r.to, r.from)...); err != nil {
		return err
	}
	var names []string
	for _, unit := range r.to.plan.Units {
		names = append(names, unit.Name)
	}
	_, gone := r.to.only()
	states, err := systemd.States(w.ctx, append(names, gone))
	if err != nil {
		return err
	}
	for _, name := range names {
		if states[name].Active != "active" {
			return fmt.Errorf("%s is %s", name, states[name].Active)
		}
	}
	if states[gone].Active != "inactive" {
		return fmt.Errorf("%s is %s", gone, states[gone].Active)
	}
	_, queued, err := memory(string(d))
	if err != nil || len(queued) > 0 {
		return fmt.Errorf("%d signals in the outbox (%w)", len(queued), err)
	}
	return w.toldRest(r.to)
}

// toldRest checks that what the control plane is told after the loss is the end of what it has to
// be told, in order and each once: what came before, it may have had before.
func (w *world) toldRest(s *shape) error {
	all := []protocol.Phase{protocol.Joined, protocol.Staged, protocol.Switched, protocol.Healthy}
	got := w.phases(s)
	if len(got) > len(all) {
		return fmt.Errorf("the control plane was told %v", got)
	}
	for i, phase := range all[len(all)-len(got):] {
		if got[i] != phase {
			return fmt.Errorf("the control plane was told %v", got)
		}
	}
	return nil
}

// powerLosses runs the replayed trees in this process, and some of them on the node: in the bounded
// part some of them, otherwise every one.
func (w *world) powerLosses(total *tally, r *recording, some, every sample) {
	w.t.Helper()
	if *fullMatrix || picked() {
		some = every
	}
	losses := r.losses(disk.Policies(some.random))
	w.t.Logf("%d calls leave %d different trees", len(r.calls), len(losses))
	w.control.shut()
	must(w.t, w.node.PowerOff())
	dir := filepath.Join(filepath.Dir(w.node.State("")), "replay")
	for i, l := range losses {
		if i%some.everyNth != 0 || !chosen(one{at: l.at, fault: l.policy}) {
			continue
		}
		began := time.Now()
		verdict, err := w.recover(r, l, dir)
		if err != nil {
			verdict = foundMixed
			w.t.Errorf("%s, %s: %v; the plane was told %v", l.policy, l.at, err, w.recent())
		}
		total.add(l.at, l.policy, verdict, time.Since(began))
	}
	for i := range min(some.inNode, len(losses)) {
		l := losses[i*len(losses)/some.inNode]
		if !chosen(one{at: l.at, fault: l.policy}) {
			continue
		}
		began := time.Now()
		verdict, err := w.onNode(r, l)
		if err != nil {
			verdict = foundMixed
			w.t.Errorf("on the node: %s, %s: %v\n%s", l.policy, l.at, err, w.node.Journal(w.ctx, 40))
		}
		total.add(l.at, l.policy+", on the node", verdict, time.Since(began))
	}
	w.control.open()
}

// onNode boots the node with a replayed tree as the agent's directory.
func (w *world) onNode(r *recording, l loss) (string, error) {
	if err := w.node.PowerOff(); err != nil {
		return foundMixed, err
	}
	entries, err := os.ReadDir(w.node.State(""))
	if err != nil {
		return foundMixed, err
	}
	for _, entry := range entries {
		err = errors.Join(err, os.RemoveAll(w.node.State(entry.Name())))
	}
	temp := w.node.State("replay")
	if err := errors.Join(err, l.tree.Write(temp)); err != nil {
		return foundMixed, err
	}
	entries, err = os.ReadDir(temp)
	for _, entry := range entries {
		err = errors.Join(err, os.Rename(filepath.Join(temp, entry.Name()), w.node.State(entry.Name())))
	}
	if err := errors.Join(err, os.Remove(temp)); err != nil {
		return foundMixed, err
	}
	w.plane.Forget()
	w.current, w.previous = r.from, r.previous
	return w.comesBackFrom(r.to)
}
