package daemon_test

import (
	"context"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/agent/daemon"
	"slipway.build/slipway/agent/journal"
	"slipway.build/slipway/agent/local"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/agent/status"
)

// twice brings a node to its second generation, which differs in a file.
func twice(t *testing.T) *rig {
	t.Helper()
	r := newRig(t)
	r.config.LocalSocket = filepath.Join(t.TempDir(), "agent.sock")
	r.configure()
	r.start()
	for number := range uint64(2) {
		p := r.desired(number + 1)
		if number == 1 {
			p.Files[0].Content = "two"
		}
		r.plane.Publish(r.ctx, p, r.lock, r.sig)
		r.plane.Await(r.ctx, p.Deployment, protocol.Healthy)
	}
	return r
}

// steps returns the journalled steps by generation, beside the running agent.
func (r *rig) steps() map[uint64]journal.Step {
	r.t.Helper()
	j, err := journal.Snapshot(filepath.Join(r.config.Root, "state"))
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = j.Close() }()
	entries, err := j.Entries()
	if err != nil {
		r.t.Fatal(err)
	}
	out := map[uint64]journal.Step{}
	for _, entry := range entries {
		out[entry.Generation] = entry.Step
	}
	return out
}

func (r *rig) rolledBack(t *testing.T) {
	t.Helper()
	signal := r.plane.Await(r.ctx, "d-2", protocol.RolledBack)
	if !strings.HasPrefix(signal.Actor, "on-host (uid ") || !strings.Contains(signal.Reason, "generation 1 runs again") {
		t.Errorf("signal %+v", signal)
	}
	if now := r.current(); now != "1" {
		t.Errorf("generation %s is current, want 1", now)
	}
	if steps := r.steps(); steps[2] != journal.Abandoned || steps[1] != journal.Confirmed {
		t.Errorf("steps %v", steps)
	}
}

func TestSomebodyOnTheNodeGoesBackAndOnlyANewerPlanIsApplied(t *testing.T) {
	r := twice(t)
	r.systemd.Forget()
	done, err := local.Ask(r.ctx, r.config.LocalSocket, local.Request{Do: local.RollBack})
	if err != nil || !strings.Contains(done, "generation 1 runs again") {
		t.Fatalf("%q, %v", done, err)
	}
	r.rolledBack(t)
	if actions := strings.Join(r.systemd.Actions(), ", "); actions != "reload, restart slipway-b.service" {
		t.Errorf("systemd was asked for %s; only slipway-b uses the file that differs", actions)
	}
	// The agent that starts again gets the same plan again, and leaves it.
	r.stop()
	r.start()
	polls := r.plane.Polls()
	for r.plane.Polls() < polls+2 { // the second poll means that the first answer was dealt with
		time.Sleep(time.Millisecond)
	}
	r.rolledBack(t)
	if _, err := local.Ask(r.ctx, r.config.LocalSocket, local.Request{Do: local.RollBack}); err == nil || !strings.Contains(err.Error(), "no confirmed generation before it") {
		t.Errorf("a second way back: %v", err)
	}
	p := r.desired(3)
	p.Files[0].Content = "three"
	r.plane.Publish(r.ctx, p, r.lock, r.sig)
	r.plane.Await(r.ctx, p.Deployment, protocol.Healthy)
	if now := r.current(); now != "3" {
		t.Errorf("generation %s is current, want 3", now)
	}
}

func TestGoingBackWithoutAnAgentIsReportedWhenItRunsAgain(t *testing.T) {
	r := twice(t)
	if _, err := daemon.RollBack(r.ctx, r.config, "on-host (uid 0, pid 1)", slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "another slipway-agent holds it") {
		t.Fatalf("beside a running agent: %v", err)
	}
	r.stop()
	if _, err := local.Ask(r.ctx, r.config.LocalSocket, local.Request{Do: local.RollBack}); err != local.ErrNoAgent {
		t.Fatalf("asked an agent that does not run: %v", err)
	}
	if _, err := daemon.RollBack(r.ctx, r.config, "on-host (uid 0, pid 1)", slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	r.start()
	r.rolledBack(t)
}

func TestAPlanThatIsNotSwitchedToIsGivenUp(t *testing.T) {
	r := twice(t)
	p := r.desired(3)
	p.Certificates = append(p.Certificates, plan.Certificate{Name: "another", Purpose: "client", Owner: r.owner})
	r.plane.Disturb(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
			if request.URL.Path == "/node/v1/certificates" {
				http.Error(w, "not now", http.StatusServiceUnavailable)
				return
			}
			next.ServeHTTP(w, request)
		})
	})
	r.plane.Publish(r.ctx, p, r.lock, r.sig)
	r.plane.Await(r.ctx, p.Deployment, protocol.Joined)
	done, err := local.Ask(r.ctx, r.config.LocalSocket, local.Request{Do: local.RollBack})
	if err != nil || !strings.Contains(done, "plan 3, which was not switched to yet, is given up") {
		t.Fatalf("%q, %v", done, err)
	}
	r.plane.Await(r.ctx, p.Deployment, protocol.Failed)
	if now := r.current(); now != "2" {
		t.Errorf("generation %s is current, want 2", now)
	}
}

func TestAnInterruptedWayBackIsGoneOnWith(t *testing.T) {
	r := twice(t)
	// A newer plan failed before, so the one that is gone back from is not the newest.
	bad := r.desired(3)
	bad.Certificates[0].Purpose = "unknown"
	r.plane.Publish(r.ctx, bad, r.lock, r.sig)
	r.plane.Await(r.ctx, bad.Deployment, protocol.Failed)
	r.over(t, 3) // the report leaves before everything of the plan is given up
	ctx, cancel := context.WithCancel(r.ctx)
	r.systemd.FailWith(func(action string) error {
		if action == "reload" {
			cancel()
			r.kill()
		}
		return nil
	})
	_, err := local.Ask(ctx, r.config.LocalSocket, local.Request{Do: local.RollBack})
	r.stop()
	t.Logf("the way back was cut: %v", err)
	r.systemd.FailWith(nil)
	r.start()
	r.rolledBack(t)
}

// over waits until the agent has nothing more to do about a generation that failed.
func (r *rig) over(t *testing.T, generation uint64) {
	t.Helper()
	for {
		now, err := status.Read(r.config.StatusFile)
		if err == nil && now.Generation == generation && now.Doing == status.Failed {
			return
		}
		select {
		case <-r.ctx.Done():
			t.Fatalf("the agent is not done with generation %d: %+v, %v", generation, now, err)
		case <-time.After(time.Millisecond):
		}
	}
}
