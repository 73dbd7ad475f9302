package heat_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/agent/daemon"
	"slipway.build/slipway/agent/heat"
	"slipway.build/slipway/agent/heat/testcloud"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/agent/pull"
	"slipway.build/slipway/agent/testimage"
	"slipway.build/slipway/agent/testplane"
	"slipway.build/slipway/units/drive"
)

const nodeID = "5f0c54a4-4d0c-4a3e-9d39-0d8f2a51f2aa"

// beside starts an agent that has joined a control plane and follows the plan in Heat mode's
// file. It returns how to sign a plan for it.
func (r *rig) beside() (sign func(*plan.Plan) protocol.Delivery) {
	r.t.Helper()
	plane := testplane.New(r.t)
	key, public := testimage.Key(r.t)
	image := testimage.New(r.t, "alpha", testimage.Zstd, []testimage.File{{Path: "usr/bin/alpha", Content: []byte("alpha")}})
	lock, signature, digest := testimage.Lock(r.t, key, image)
	r.put("agent/agent.yaml", plane.AgentConfig(nodeID), 0o600)
	r.put("agent/trust/lock.pub", string(public), 0o644)
	dir := filepath.Join(r.dir, "agent")
	plans := heat.FilePlans{Path: filepath.Join(r.dir, "plans", "plan.json"), Status: filepath.Join(dir, "status.json"), TakeUp: 4 * time.Minute}
	r.config.Hooks.Plans = plans
	if err := os.MkdirAll(filepath.Dir(plans.Path), 0o700); err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- daemon.Run(ctx, daemon.Config{
			ConfigFile: filepath.Join(dir, "agent.yaml"), Root: filepath.Join(dir, "root"), TrustDir: filepath.Join(dir, "trust"),
			BakedLock: filepath.Join(dir, "baked"), StatusFile: plans.Status, PlanFile: plans.Path,
			Systemd:  func(context.Context) (drive.Driver, error) { return &drive.Fake{}, nil },
			Registry: pull.NewClient(),
		}, discard())
	}()
	r.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			r.t.Errorf("the agent beside ended: %v", err)
		}
	})
	return func(p *plan.Plan) protocol.Delivery {
		now := time.Now().UTC().Truncate(time.Second)
		p.Issued, p.Expires = now, now.Add(time.Hour)
		p.Images, p.Units, p.Registries = []plan.Image{}, []plan.Unit{}, []string{"http://127.0.0.1:1"}
		p.Certificates, p.Secrets, p.Tasks = []plan.Certificate{}, []plan.Secret{}, []plan.Task{}
		p.Schema, p.Lock, p.Deadline = plan.Schema, digest, plan.Duration(4*time.Minute)
		p.Node = plan.Node{ID: nodeID, Name: "n", Cluster: nodeID, Role: "worker", Address: "10.0.0.9"}
		envelope, err := plan.Seal(r.t.Context(), p, plane.PlanKey)
		if err != nil {
			r.t.Fatal(err)
		}
		return protocol.Delivery{Envelope: envelope, LockBytes: lock, LockSignature: signature}
	}
}

func TestASignedPlanFromHeatIsAppliedByTheApplierOfAllPlans(t *testing.T) {
	r := newRig(t)
	r.boot(r.cloud.HeatSection())
	sign := r.beside()
	good := sign(&plan.Plan{Generation: 1, Deployment: "d1", Files: []plan.File{{Path: "a/file", Mode: "0444", Content: "of the plan"}}})
	forged := sign(&plan.Plan{Generation: 2, Deployment: "d2", Files: []plan.File{{Path: "a/file", Mode: "0444", Content: "forged"}}})
	forged.Envelope = []byte(strings.Replace(string(forged.Envelope), `"sig":"M`, `"sig":"N`, 1))
	r.cloud.Deploy(testcloud.Deployment{ID: "p1", Group: "slipway", Config: map[string]any{"delivery": good}})
	r.start()
	if result := r.cloud.AwaitResult("p1"); result.Status != testcloud.Complete {
		t.Fatalf("%+v\n%s", result, r.read("agent/status.json"))
	}
	if got := r.read("agent/root/current/files/a/file"); got != "of the plan" {
		t.Errorf("the node has %q", got)
	}
	// Nobody takes up the forged one. How long the other agent needs to say why is the machine's matter.
	plans, _ := r.config.Hooks.Plans.(heat.FilePlans)
	var result testcloud.Result
	text := ""
	for plans.TakeUp = 3 * time.Second; plans.TakeUp < 2*time.Minute && !strings.Contains(text, "plan signature"); plans.TakeUp *= 4 {
		r.stop()
		r.config.Hooks.Plans = plans
		r.start()
		id := "p2-" + plans.TakeUp.String()
		r.cloud.Deploy(testcloud.Deployment{ID: id, Group: "slipway", Config: map[string]any{"delivery": forged}})
		result = r.cloud.AwaitResult(id)
		text, _ = result.Outputs["deploy_stderr"].(string)
		if result.Status != testcloud.Failed {
			break
		}
	}
	if result.Status != testcloud.Failed || !strings.Contains(text, "no agent took the plan up") || !strings.Contains(text, "plan signature") || r.read("agent/root/current/files/a/file") != "of the plan" {
		t.Errorf("%+v", result)
	}
}

func TestADeliveryWithoutAPlanIsRefusedAtOnce(t *testing.T) {
	plans := heat.FilePlans{Path: filepath.Join(t.TempDir(), "plan.json")}
	for _, envelope := range []string{"", "{}", `{"payload":"?"}`} {
		raw, err := json.Marshal(envelope)
		if err != nil {
			t.Fatal(err)
		}
		if err := plans.ApplyPlan(t.Context(), protocol.Delivery{Envelope: raw}); err == nil {
			t.Errorf("%s was handed over", envelope)
		}
	}
}
