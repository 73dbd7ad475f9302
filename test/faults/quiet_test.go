package faults

import (
	"fmt"
	"strings"
	"sync"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/test/faults/tracer"
)

// quiet checks what the agent does not do: nothing at all for a plan that it has, one reload for
// one that it has not, two for one that it goes back from, and no restart of what is the same.
func quiet(w *world) {
	w.t.Helper()
	// The last plan may have failed; the one that is delivered again has to be the current one.
	s := w.next()
	w.publish(s)
	must(w.t, w.settle(s))
	if n := w.reloads(func() { w.equalPlan(s) }); n != 0 {
		w.t.Errorf("%d reloads for a plan that is equal to the current one", n)
	}
	n := w.reloads(func() {
		s := w.next()
		w.publish(s)
		must(w.t, w.settle(s))
	})
	if n != 1 {
		w.t.Errorf("%d reloads for one switch, want 1", n)
	}
	n = w.reloads(func() {
		verdict, err := w.rolledBack(beta, []string{"--nonsense"}, func(p *plan.Plan) {
			unitOf(p, beta).Exec.Args = []string{"--fail"}
			limits(unitOf(p, beta))
		})
		if err != nil || verdict != foundOld {
			w.t.Errorf("a plan that fails: %s, %v", verdict, err)
		}
	})
	if n != 2 {
		w.t.Errorf("%d reloads for a switch and the way back, want 2", n)
	}
}

// reloads counts systemd's reloads while something is done.
func (w *world) reloads(do func()) int {
	w.t.Helper()
	before, err := w.node.Reloads(w.ctx)
	must(w.t, err)
	do()
	after, err := w.node.Reloads(w.ctx)
	must(w.t, err)
	return after - before
}

// equalPlan delivers the current plan again and again. Once in a while the agent looks at how the
// node is, and writes that down: what it does for a plan it does each time.
func (w *world) equalPlan(s *shape) {
	w.t.Helper()
	var did []string
	for range 5 {
		if did = w.doesFor(s); len(did) == 0 {
			return
		}
	}
	w.t.Errorf("for a plan that is equal to the current one the agent did %q, want nothing", did)
}

// doesFor returns what the agent does while the current plan is delivered three times.
func (w *world) doesFor(s *shape) []string {
	w.t.Helper()
	var mu sync.Mutex
	var did []string
	w.control.watch(func(call *tracer.Call, _ string) {
		if call.Name == "exec" || strings.HasPrefix(call.Path, "/") {
			mu.Lock()
			defer mu.Unlock()
			did = append(did, call.String())
		}
	})
	signals := len(w.phases(s))
	for range 3 {
		polls := w.plane.Polls()
		w.plane.Redeliver()
		must(w.t, w.eventually(limit, func() error { return morePolls(w, polls) }))
	}
	w.control.watch(nil)
	mu.Lock()
	defer mu.Unlock()
	if now := len(w.phases(s)); now != signals {
		w.t.Errorf("%d signals for a plan that is equal to the current one", now-signals)
	}
	return did
}

func morePolls(w *world, than int) error {
	if now := w.plane.Polls(); now <= than {
		return fmt.Errorf("%d polls", now)
	}
	return nil
}
