package daemon_test

import (
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/units/drive"
)

const readyEvent = `{"type":"ADDED","object":{"status":{"conditions":[{"type":"Ready","status":"True"}]}}}` + "\n"

// api starts an API server whose node is Ready, and returns how a task reaches it.
func (r *rig) api(events string) *plan.API {
	r.t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, events)
	}))
	r.t.Cleanup(server.Close)
	ca := filepath.Join(r.t.TempDir(), "ca.crt")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		r.t.Fatal(err)
	}
	return &plan.API{Server: server.URL, CA: ca, Certificate: "client"}
}

func TestTasksOfTheNodeAndOfOthersAreReportedApart(t *testing.T) {
	r := newRig(t)
	r.ready()
	p := r.desired(1)
	api := r.api(readyEvent)
	p.Tasks = []plan.Task{
		{Name: "ready", Kind: plan.TaskNodeReady, After: []string{"slipway-a.service"}, API: api},
		{Name: "addons", Kind: plan.TaskNodeReady, After: []string{"ready"}, API: api, Deployment: "cluster"},
	}
	r.apply(p, protocol.Healthy)
	r.plane.Await(r.ctx, "cluster", protocol.Healthy)
	r.stop()
	signals, polls := r.reports(), r.plane.Polls()
	r.start()
	for r.plane.Polls() < polls+2 {
		time.Sleep(time.Millisecond)
	}
	if now := r.reports(); now != signals {
		t.Errorf("%d new signals for a plan that is done", now-signals)
	}
}

// reports counts the signals that are about a deployment: conditions come when they will.
func (r *rig) reports() (n int) {
	for _, signal := range r.plane.Signals() {
		if signal.Phase != protocol.Observed {
			n++
		}
	}
	return n
}

func TestAFurtherDeploymentThatFailsLeavesTheNodeAsItIs(t *testing.T) {
	r := newRig(t)
	r.ready()
	for number, deadline := range longer { // the node's own deployment has to be done in it, too
		p := r.desired(uint64(number + 1))
		p.Deadline = plan.Duration(deadline)
		further := fmt.Sprintf("cluster-%d", number+1)
		p.Tasks = []plan.Task{{Name: "addons", Kind: plan.TaskNodeReady, API: r.api(""), Deployment: further}}
		r.publish(p)
		signal := r.plane.Await(r.ctx, further, protocol.Failed)
		if strings.Contains(signal.Reason, "the node's own deployment failed") {
			continue
		}
		r.plane.Await(r.ctx, p.Deployment, protocol.Healthy)
		if !strings.Contains(signal.Reason, "task addons") || !strings.Contains(signal.Reason, "deadline") {
			t.Errorf("reason %q", signal.Reason)
		}
		if want := fmt.Sprint(number + 1); r.current() != want {
			t.Errorf("current is %s, want %s", r.current(), want)
		}
		return
	}
	t.Error("the node's own deployment is never done in time")
}

func TestANodeThatFailsFailsItsFurtherDeploymentsToo(t *testing.T) {
	r := newRig(t)
	r.systemd.Decide(func(drive.Job) drive.State { return drive.State{Load: "loaded", Active: "failed", Sub: "failed"} })
	r.ready()
	p := r.desired(1)
	p.Tasks = []plan.Task{{Name: "addons", Kind: plan.TaskNodeReady, API: r.api(""), Deployment: "cluster"}}
	r.apply(p, protocol.Failed)
	signal := r.plane.Await(r.ctx, "cluster", protocol.Failed)
	if !strings.Contains(signal.Reason, "the node's own deployment failed") {
		t.Errorf("reason %q", signal.Reason)
	}
	r.stop()
	count := 0
	for _, signal := range r.plane.Signals() {
		if signal.Deployment == "cluster" {
			count++
		}
	}
	if count != 1 {
		t.Errorf("%d signals of the further deployment, want 1", count)
	}
}
