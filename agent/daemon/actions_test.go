package daemon_test

import (
	"slices"
	"strings"
	"testing"

	"slipway.build/slipway/agent/action"
	"slipway.build/slipway/agent/protocol"
)

func TestTheAgentDoesActionsBesideItsPlan(t *testing.T) {
	r := newRig(t)
	r.configure()
	r.start()
	early := r.plane.Act(r.ctx, nodeID, action.Check, action.Arguments{Checks: []action.CheckName{action.CheckDisk}}, nil)
	r.plane.AwaitAction(r.ctx, early.ID, protocol.ActionDone)
	p := r.desired(1)
	r.plane.Publish(r.ctx, p, r.lock, r.sig)
	r.plane.Await(r.ctx, p.Deployment, protocol.Healthy)
	r.systemd.Forget()
	restart := r.plane.Act(r.ctx, nodeID, action.Restart, action.Arguments{Unit: "slipway-a.service"}, nil)
	done := r.plane.AwaitAction(r.ctx, restart.ID, protocol.ActionDone)
	if len(done.Action.Results) != 1 || done.Deployment != "" {
		t.Errorf("told %+v", done)
	}
	if got := r.systemd.Actions(); !slices.Equal(got, []string{"restart slipway-a.service"}) {
		t.Errorf("asked of systemd: %v", got)
	}
	// A new agent is offered it again and has not forgotten it.
	r.stop()
	r.systemd.Forget()
	r.plane.Replay(restart)
	r.start()
	if refused := r.plane.AwaitAction(r.ctx, restart.ID, protocol.ActionRefused); !strings.Contains(refused.Reason, "replayed") {
		t.Errorf("replayed: %q", refused.Reason)
	}
	if slices.Contains(r.systemd.Actions(), "restart slipway-a.service") {
		t.Error("it was done twice")
	}
}
