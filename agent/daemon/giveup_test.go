package daemon_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"slipway.build/slipway/agent/daemon"
	"slipway.build/slipway/agent/journal"
	"slipway.build/slipway/agent/local"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/units/drive"
)

// lingering is a systemd whose stop jobs do what they are asked and never end by themselves: the
// plan that asked for them waits between the stop and its switch.
type lingering struct {
	*drive.Fake
	once    sync.Once
	stopped chan struct{} // closed with the first stop
}

// Queue implements drive.Driver.
func (l *lingering) Queue(ctx context.Context, jobs []drive.Job) (<-chan error, error) {
	results, err := l.Fake.Queue(ctx, jobs)
	if err != nil || len(jobs) == 0 || jobs[0].Action != drive.Stop {
		return results, err
	}
	l.once.Do(func() { close(l.stopped) })
	ended := make(chan error, 1)
	context.AfterFunc(ctx, func() {
		ended <- context.Cause(ctx)
		close(ended)
	})
	return ended, nil
}

const byHand = "on-host (uid 0, pid 1)"

// stopped brings a node to where its third plan, in which slipway-b is gone, has stopped that unit and
// has not switched. A task of the plan reports to another deployment.
func stopped(t *testing.T) *rig {
	t.Helper()
	r := newRig(t)
	held := &lingering{Fake: r.systemd, stopped: make(chan struct{})}
	r.config.Systemd = func(context.Context) (drive.Driver, error) { return held, nil }
	r.config.LocalSocket = t.TempDir() + "/agent.sock"
	r.ready()
	r.apply(r.desired(1), protocol.Healthy)
	second := r.desired(2)
	second.Files[0].Content = "two"
	r.apply(second, protocol.Healthy)
	p := r.desired(3)
	p.Units = p.Units[1:]
	p.Tasks = []plan.Task{{Name: "addons", Kind: plan.TaskNodeReady, API: r.api(""), Deployment: "cluster"}}
	r.publish(p)
	select {
	case <-held.stopped:
	case <-r.ctx.Done():
		t.Fatal("nothing was stopped")
	}
	return r
}

// runsOldWhole checks that the second generation is current and all of its units are active, that the
// third counts as given up, and that this was told once.
func (r *rig) runsOldWhole() {
	r.t.Helper()
	if now := r.current(); now != "2" {
		r.t.Errorf("generation %s is current, want 2", now)
	}
	states, err := r.systemd.States(r.ctx, []string{"slipway-a.service", "slipway-b.service"})
	if err != nil || states["slipway-a.service"].Active != "active" || states["slipway-b.service"].Active != "active" {
		r.t.Errorf("states %v (%v)", states, err)
	}
	if steps := r.steps(); steps[3] != journal.Abandoned || steps[2] != journal.Confirmed {
		r.t.Errorf("steps %v", steps)
	}
	for _, deployment := range []string{"d-3", "cluster"} {
		signal := r.plane.Await(r.ctx, deployment, protocol.Failed)
		if !strings.Contains(signal.Reason, "given up by on-host (uid ") {
			r.t.Errorf("deployment %s: reason %q", deployment, signal.Reason)
		}
		told := 0
		for _, signal := range r.plane.Signals() {
			if signal.Deployment == deployment && (signal.Phase == protocol.Failed || signal.Phase == protocol.RolledBack || signal.Phase == protocol.Healthy) {
				told++
			}
		}
		if told != 1 {
			r.t.Errorf("deployment %s was told %d ends, want 1", deployment, told)
		}
	}
}

func TestWhatWasStoppedForAPlanThatIsGivenUpStartsAgain(t *testing.T) {
	r := stopped(t)
	done, err := local.Ask(r.ctx, r.config.LocalSocket, local.Request{Do: local.RollBack})
	if err != nil || !strings.Contains(done, "plan 3, which was not switched to yet, is given up; generation 2 runs on") {
		t.Fatalf("%q, %v", done, err)
	}
	r.runsOldWhole()
	r.apply(r.desired(4), protocol.Healthy)
}

func TestAPlanIsGivenUpWithoutAnAgentToo(t *testing.T) {
	r := stopped(t)
	r.stop()
	if _, err := daemon.RollBack(r.ctx, r.config, byHand, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	r.start()
	r.runsOldWhole()
}

// TestGivingUpThatIsCutShortIsGoneOnWith ends it when the first unit is to be started again: by the
// agent that starts, and by somebody who asks once more before it does.
func TestGivingUpThatIsCutShortIsGoneOnWith(t *testing.T) {
	for name, next := range map[string]func(*testing.T, *rig){
		"by the next agent": func(*testing.T, *rig) {},
		"by asking again": func(t *testing.T, r *rig) {
			done, err := daemon.RollBack(r.ctx, r.config, byHand, slog.New(slog.DiscardHandler))
			if err != nil || !strings.Contains(done, "plan 3, which was not switched to yet, is given up; generation 2 runs on") {
				t.Errorf("%q, %v", done, err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := stopped(t)
			r.stop()
			cutShort(t, r, "start slipway-b.service")
			if steps := r.steps(); steps[3] != journal.Returning {
				t.Fatalf("steps %v", steps)
			}
			next(t, r)
			r.start()
			for r.steps()[3] != journal.Abandoned {
				select {
				case <-r.ctx.Done():
					t.Fatalf("steps %v", r.steps())
				case <-time.After(time.Millisecond):
				}
			}
			r.runsOldWhole()
		})
	}
}

// cutShort asks for the way back and ends it when it comes to an action of systemd.
func cutShort(t *testing.T, r *rig, at string) {
	t.Helper()
	ctx, kill := context.WithCancel(r.ctx)
	defer kill()
	r.systemd.FailWith(func(action string) error {
		if action == at {
			kill()
			return context.Canceled
		}
		return nil
	})
	if done, err := daemon.RollBack(ctx, r.config, byHand, slog.New(slog.DiscardHandler)); err == nil {
		t.Fatalf("it was not cut short: %q", done)
	}
	r.systemd.FailWith(nil)
}

func TestAskingAgainGoesNoFurtherBackAndTellsWhoeverStillWaited(t *testing.T) {
	r := newRig(t)
	r.ready()
	r.apply(r.desired(1), protocol.Healthy)
	p := r.desired(2)
	p.Files[0].Content = "two"
	p.Tasks = []plan.Task{{Name: "addons", Kind: plan.TaskNodeReady, API: r.api(""), Deployment: "cluster"}}
	r.apply(p, protocol.Healthy)
	r.stop() // the task of the further deployment is never done
	cutShort(t, r, "reload")
	done, err := daemon.RollBack(r.ctx, r.config, byHand, slog.New(slog.DiscardHandler))
	if err != nil || !strings.Contains(done, "generation 2 was rolled back; generation 1 runs again") {
		t.Fatalf("%q, %v", done, err)
	}
	r.start()
	r.rolledBack(t)
	if signal := r.plane.Await(r.ctx, "cluster", protocol.Failed); !strings.Contains(signal.Reason, "the node's generation was rolled back by "+byHand) {
		t.Errorf("reason %q", signal.Reason)
	}
}
