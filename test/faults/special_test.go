package faults

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/test/faults/tracer"
)

// rolledBack publishes a plan that has to fail after its switch, and waits until the node runs
// the old generation whole and has said which check failed, with what the unit said.
func (w *world) rolledBack(at string, words []string, changes ...func(*plan.Plan)) (string, error) {
	s := w.next(changes...)
	w.publish(s)
	err := w.eventually(2*limit, func() error {
		return w.told(s, protocol.Joined, protocol.Staged, protocol.Switched, protocol.Failed, protocol.RolledBack)
	})
	if err != nil {
		return foundMixed, err
	}
	for _, phase := range []protocol.Phase{protocol.Failed, protocol.RolledBack} {
		signal := w.signal(s, phase)
		for _, word := range append([]string{at}, words...) {
			if !strings.Contains(signal.Reason+"\n"+signal.Log, word) {
				return foundMixed, fmt.Errorf("signal %s does not say %q: %s\n%s", phase, word, signal.Reason, signal.Log)
			}
		}
	}
	return foundOld, w.settle(w.current)
}

// limits keeps systemd from starting a unit again and again.
func limits(unit *plan.Unit) {
	unit.Text = strings.Replace(unit.Text, "StartLimitIntervalSec=0", "StartLimitIntervalSec=60\nStartLimitBurst=3", 1)
}

// units returns the cases of components that misbehave.
func units() []one {
	const lastWords = "the disk of the test is worn out"
	out := []one{
		{"start of " + beta, "a component that ends at once", func(w *world) func() (string, error) {
			return func() (string, error) {
				return w.rolledBack(beta, []string{"--nonsense"}, func(p *plan.Plan) {
					unitOf(p, beta).Exec.Args = []string{"--fail"}
					limits(unitOf(p, beta))
				})
			}
		}},
		{"confirmation of " + beta, "a component that fails after 20 seconds", func(w *world) func() (string, error) {
			return func() (string, error) {
				return w.rolledBack(beta, []string{lastWords, "confirmation window of 25s"}, func(p *plan.Plan) {
					unitOf(p, beta).Exec.Args = append(unitOf(p, beta).Exec.Args, "--fail-after", "20s")
					p.Confirm = plan.Duration(25 * time.Second)
				})
			}
		}},
		{"confirmation of " + alpha, "a component that fails after 20 seconds, for good", func(w *world) func() (string, error) {
			return func() (string, error) {
				return w.rolledBack(alpha, []string{lastWords}, func(p *plan.Plan) {
					unitOf(p, alpha).Exec.Args = append(unitOf(p, alpha).Exec.Args, "--fail-after", "20s")
					unitOf(p, alpha).Text = strings.Replace(unitOf(p, alpha).Text, "Restart=always", "Restart=no", 1)
					p.Confirm = plan.Duration(25 * time.Second)
				})
			}
		}},
	}
	for _, unit := range []string{alpha, beta} {
		out = append(out, one{"start of " + unit, "a component that hangs in start", func(w *world) func() (string, error) {
			return func() (string, error) {
				return w.rolledBack(unit, []string{"deadline"}, func(p *plan.Plan) {
					unitOf(p, unit).Exec.Args = append(unitOf(p, unit).Exec.Args, "--deaf")
					p.Deadline = plan.Duration(12 * time.Second)
				})
			}
		}}, one{"stop of " + unit, "a component that hangs in stop", func(w *world) func() (string, error) {
			return func() (string, error) { return w.stubborn(unit) }
		}})
	}
	return append(out, one{"stop of the dropped unit", "a component that hangs in stop", func(w *world) func() (string, error) {
		return func() (string, error) { return w.stubborn("") }
	}}, one{"stop of the dropped unit", "a component that hangs in stop beyond the deadline", func(w *world) func() (string, error) {
		return w.stuck
	}})
}

// stubborn gives a unit a component that ignores being asked to end, and then a plan in which it
// has to.
func (w *world) stubborn(name string) (string, error) {
	s := w.next(func(p *plan.Plan) { deafToTerm(p, name) })
	w.publish(s)
	if err := w.settle(s); err != nil {
		return foundMixed, err
	}
	s = w.next()
	w.publish(s)
	return foundNew, w.settle(s)
}

// deafToTerm changes the unit of that name, or the one that the next plan drops.
func deafToTerm(p *plan.Plan, name string) {
	for i := range p.Units {
		if unit := &p.Units[i]; unit.Name == name || name == "" && (unit.Name == odd || unit.Name == even) {
			unit.Exec.Args = append(unit.Exec.Args, "--stubborn")
		}
	}
}

// stuck has the dropped unit hang in stop for longer than the plan's deadline: the plan fails
// before its switch, and what was stopped for it runs again.
func (w *world) stuck() (string, error) {
	s := w.next(func(p *plan.Plan) {
		deafToTerm(p, "")
		for i := range p.Units {
			if unit := &p.Units[i]; unit.Name == odd || unit.Name == even {
				unit.Text = strings.Replace(unit.Text, "TimeoutStopSec=2s", "TimeoutStopSec=20s", 1)
			}
		}
	})
	w.publish(s)
	if err := w.settle(s); err != nil {
		return foundMixed, err
	}
	next := w.next(func(p *plan.Plan) { p.Deadline = plan.Duration(8 * time.Second) })
	w.publish(next)
	if err := w.eventually(limit, func() error { return w.told(next, protocol.Joined, protocol.Staged, protocol.Failed) }); err != nil {
		return foundMixed, err
	}
	return foundOld, w.settle(w.current)
}

// registries returns the cases of registries that misbehave while a layer is on its way.
func registries() []one {
	var out []one
	for _, of := range []string{"manifests", "blobs"} {
		for fault, between := range map[string]func(times *atomic.Int32) func(http.Handler) http.Handler{
			"5xx":                           failing,
			"a truncated body":              truncated,
			"a slow body":                   slow,
			"a registry that vanishes":      vanishing,
			"a body of somebody else's":     swapped,
			"a connection that never sends": silent,
		} {
			out = append(out, one{"GET " + of, fault, func(w *world) func() (string, error) {
				return func() (string, error) { return w.disturbed(of, between) }
			}})
		}
	}
	slices.SortFunc(out, func(a, b one) int { return strings.Compare(a.at+a.fault, b.at+b.fault) })
	return out
}

func (w *world) disturbed(of string, between func(*atomic.Int32) func(http.Handler) http.Handler) (string, error) {
	s := w.next()
	var times atomic.Int32
	disturb := between(&times)
	w.disturb.Set(func(next http.Handler) http.Handler {
		disturbed := disturb(next)
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "/"+of+"/") {
				disturbed.ServeHTTP(rw, r)
				return
			}
			next.ServeHTTP(rw, r)
		})
	})
	w.publish(s)
	verdict, err := w.settleEither(s)
	if err == nil && times.Load() == 0 {
		err = errNotFired
	}
	return verdict, err
}

// often is how many answers are spoiled before the registry is well again.
const often = 4

func failing(times *atomic.Int32) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if n := times.Add(1); n <= often {
				rw.WriteHeader(http.StatusInternalServerError + int(n)%4)
				return
			}
			next.ServeHTTP(rw, r)
		})
	}
}

func truncated(times *atomic.Int32) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if times.Add(1) > often {
				next.ServeHTTP(rw, r)
				return
			}
			next.ServeHTTP(&cut{ResponseWriter: rw, left: 100}, r)
		})
	}
}

// cut breaks the connection off after some bytes.
type cut struct {
	http.ResponseWriter
	left int
}

func (c *cut) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p[:min(len(p), c.left)])
	if c.left -= n; c.left <= 0 || err != nil {
		if f, ok := c.ResponseWriter.(http.Flusher); ok {
			f.Flush()
		}
		panic(http.ErrAbortHandler)
	}
	return n, err
}

func slow(times *atomic.Int32) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			times.Add(1)
			next.ServeHTTP(&drip{rw}, r)
		})
	}
}

// drip sends slowly: some pieces, each after a pause.
type drip struct{ http.ResponseWriter }

func (d *drip) Write(p []byte) (int, error) {
	done := 0
	for piece := max(len(p)/10, 1); done < len(p); {
		time.Sleep(20 * time.Millisecond)
		n, err := d.ResponseWriter.Write(p[done:min(done+piece, len(p))])
		done += n
		if err != nil {
			return done, err
		}
		if f, ok := d.ResponseWriter.(http.Flusher); ok {
			f.Flush()
		}
	}
	return done, nil
}

func vanishing(times *atomic.Int32) func(http.Handler) http.Handler {
	began := time.Now()
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if times.Add(1); time.Since(began) < 1500*time.Millisecond {
				panic(http.ErrAbortHandler)
			}
			next.ServeHTTP(rw, r)
		})
	}
}

func swapped(times *atomic.Int32) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			times.Add(1)
			_, _ = rw.Write([]byte("these are not the bytes that you asked for"))
		})
	}
}

func silent(times *atomic.Int32) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if times.Add(1) > 1 {
				next.ServeHTTP(rw, r)
				return
			}
			select {
			case <-r.Context().Done():
			case <-time.After(3 * time.Second):
			}
			panic(http.ErrAbortHandler)
		})
	}
}

// signals returns the cases in which the agent is killed while the control plane takes a signal.
func signals() []one {
	var out []one
	for _, phase := range []protocol.Phase{protocol.Joined, protocol.Staged, protocol.Switched, protocol.Healthy} {
		for fault, after := range map[string]bool{"kill before the control plane has it": false, "kill before the agent has the answer": true} {
			out = append(out, one{"signal " + string(phase), fault, func(w *world) func() (string, error) {
				return func() (string, error) { return w.cutSignal(phase, after) }
			}})
		}
	}
	slices.SortFunc(out, func(a, b one) int { return strings.Compare(a.at+a.fault, b.at+b.fault) })
	return out
}

func (w *world) cutSignal(phase protocol.Phase, after bool) (string, error) {
	s := w.next()
	arrived := w.control.shut()
	var fired atomic.Bool
	w.plane.Disturb(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			body := &peek{}
			if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/signals") {
				r.Body = body.of(r.Body)
			}
			if !body.tells(phase, s.deployment) || !fired.CompareAndSwap(false, true) {
				next.ServeHTTP(rw, r)
				return
			}
			if after {
				next.ServeHTTP(&discard{header: http.Header{}}, r)
			}
			w.control.killAgent()
			panic(http.ErrAbortHandler)
		})
	})
	w.publish(s)
	select {
	case <-arrived:
	case <-time.After(limit):
		return foundMixed, errNotFired
	}
	w.plane.Disturb(nil)
	verdict, err := w.foundOnNode(s)
	if err != nil {
		return verdict, err
	}
	w.control.open()
	return verdict, w.settle(s)
}

// replaced returns the cases in which a newer plan comes while one is held at a step.
func replaced(steps []step) []one {
	var out []one
	for _, at := range spread(steps, 24) {
		out = append(out, one{at.String(), "a newer plan", func(w *world) func() (string, error) {
			return func() (string, error) { return w.overtaken(at) }
		}})
	}
	return out
}

func (w *world) overtaken(at step) (string, error) {
	first := w.next()
	hold := make(chan struct{})
	if err := w.strike(first, &arming{step: at.name, nth: at.nth, fault: func(*tracer.Call) tracer.Verdict { return tracer.Verdict{Hold: hold} }}); err != nil {
		close(hold)
		return "", err
	}
	verdict, err := w.foundOnNode(first)
	delivered := w.plane.Deliveries()
	var second *shape
	if w.current != nil {
		second = w.next()
	} else {
		second = w.after(first)
	}
	w.publish(second)
	errPoll := w.eventually(limit, func() error {
		if w.plane.Deliveries() == delivered {
			return errors.New("the newer plan is not fetched")
		}
		return nil
	})
	close(hold)
	w.control.disarm()
	if err := errors.Join(err, errPoll); err != nil {
		return foundMixed, err
	}
	err = w.eventually(limit, func() error {
		previous := w.current
		if slices.Contains(w.phases(first), protocol.Healthy) {
			previous = first
		}
		if err := w.whole(second, previous); err != nil {
			return err
		}
		w.current, w.previous = second, previous
		return nil
	})
	return verdict, err
}

// clocks returns the cases in which the wall clock jumps at a step.
func clocks(steps []step) []one {
	var out []one
	for _, jump := range []string{"8760h", "-8760h"} {
		for _, at := range spread(steps, 6) {
			out = append(out, one{at.String(), "the clock jumps by " + jump, func(w *world) func() (string, error) {
				return func() (string, error) { return w.jumped(at, jump, false) }
			}}, one{at.String(), "the agent starts again with the clock off by " + jump, func(w *world) func() (string, error) {
				return func() (string, error) { return w.jumped(at, jump, true) }
			}})
		}
	}
	return out
}

func (w *world) jumped(at step, jump string, again bool) (string, error) {
	s := w.next()
	clock := w.node.Shared("clock")
	defer func() { _ = os.RemoveAll(clock) }()
	var failed error
	arrived := w.control.arrivals()
	err := w.strike(s, &arming{step: at.name, nth: at.nth, fault: func(*tracer.Call) tracer.Verdict {
		failed = os.WriteFile(clock, []byte(jump), 0o644)
		return tracer.Verdict{Kill: again}
	}})
	if err := errors.Join(err, failed); err != nil {
		return "", err
	}
	if again {
		select {
		case <-arrived:
		case <-time.After(limit):
			return foundMixed, errors.New("the agent did not start again")
		}
	}
	// In another year no certificate holds, so the agent talks to nobody. What runs goes on, and
	// once somebody sets the clock right, so does the agent.
	ctx, cancel := context.WithTimeout(w.ctx, time.Second)
	defer cancel()
	<-ctx.Done()
	verdict, err := w.foundOnNode(s)
	if err := errors.Join(err, os.Remove(clock)); err != nil {
		return foundMixed, err
	}
	if _, err := w.settleEither(s); err != nil {
		return foundMixed, err
	}
	return verdict, nil
}

// reboots returns the cases in which the whole node loses power at a step, with its disk intact.
func reboots(steps []step) []one {
	var out []one
	for _, at := range spread(steps, 20) {
		out = append(out, one{at.String(), "the node is switched off", func(w *world) func() (string, error) {
			return func() (string, error) { return w.switchedOff(at) }
		}})
	}
	return out
}

func (w *world) switchedOff(at step) (string, error) {
	s := w.next()
	w.control.shut()
	hold := make(chan struct{})
	defer close(hold)
	if err := w.strike(s, &arming{step: at.name, nth: at.nth, fault: func(*tracer.Call) tracer.Verdict { return tracer.Verdict{Hold: hold} }}); err != nil {
		w.control.open()
		return "", err
	}
	if err := w.node.PowerOff(); err != nil {
		return foundMixed, err
	}
	return w.comesBack(s)
}

// comesBack boots the node with the agent kept at the gate: systemd alone has to bring it to the
// old or the new generation, and then the agent to the new one.
func (w *world) comesBack(s *shape) (string, error) {
	w.control.disarm()
	w.control.shut()
	w.steadyID = ""
	w.boot()
	verdict, err := w.foundOnNode(s)
	if err != nil {
		return verdict, err
	}
	runs := s
	if verdict == foundOld {
		runs = w.current
	}
	if runs != nil {
		err = w.eventually(limit, func() error { return w.runs(runs) })
	}
	if err != nil {
		return foundMixed, fmt.Errorf("without the agent: %w", err)
	}
	w.control.open()
	return verdict, w.settle(s)
}

// comesBackFrom is comesBack for a node whose control plane has forgotten what it was told.
func (w *world) comesBackFrom(s *shape) (string, error) {
	w.forgotten = s
	defer func() { w.forgotten = nil }()
	return w.comesBack(s)
}

// fullDisks returns the cases of a file system that is really full.
func fullDisks() []one {
	var out []one
	for _, space := range []int64{0, 16 << 10, 256 << 10, 1 << 20, 3 << 20} {
		out = append(out, one{fmt.Sprintf("%d KiB free", space>>10), "a full disk", func(w *world) func() (string, error) {
			return func() (string, error) { return w.crowded(space) }
		}})
	}
	return out
}

func (w *world) crowded(space int64) (string, error) {
	s := w.next()
	used, err := w.node.Used()
	if err != nil {
		return foundMixed, err
	}
	if err := w.node.Resize(used + space); err != nil {
		return foundMixed, err
	}
	w.publish(s)
	ctx, cancel := context.WithTimeout(w.ctx, 1500*time.Millisecond)
	defer cancel()
	<-ctx.Done() // the disk stays full for that long, whatever the agent does
	verdict, err := w.foundOnNode(s)
	if err := errors.Join(err, w.node.Resize(diskSize)); err != nil {
		return foundMixed, err
	}
	if verdict == foundNew {
		return verdict, errNotFired
	}
	if _, err := w.settleEither(s); err != nil {
		return foundMixed, err
	}
	return verdict, nil
}

// spread chooses n steps evenly.
func spread(steps []step, n int) []step {
	var out []step
	for i := range min(n, len(steps)) {
		out = append(out, steps[i*len(steps)/min(n, len(steps))])
	}
	return out
}
