package daemon_test

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"slipway.build/slipway/agent/daemon"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/agent/pull"
	"slipway.build/slipway/agent/testimage"
	"slipway.build/slipway/agent/testplane"
	"slipway.build/slipway/units/drive"
)

const nodeID = "5f0c54a4-4d0c-4a3e-9d39-0d8f2a51f2aa"

// rig is an agent in this process, with a fake systemd, between a control plane and a registry.
type rig struct {
	t       *testing.T
	ctx     context.Context
	plane   *testplane.Plane
	systemd *drive.Fake
	config  daemon.Config
	owner   string
	desired func(number uint64) *plan.Plan
	lock    []byte
	sig     []byte
	lockKey *ecdsa.PrivateKey
	image   *testimage.Image

	mu     sync.Mutex
	cancel context.CancelFunc
	ended  chan error
}

func newRig(t *testing.T) *rig {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	t.Cleanup(cancel)
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	image := testimage.New(t, "alpha", testimage.Zstd, []testimage.File{{Path: "usr/bin/alpha", Content: testimage.Content("alpha", 1<<16)}})
	registry := testimage.NewRegistry(t, nil, image)
	key, public := testimage.Key(t)
	r := &rig{lockKey: key, image: image, t: t, ctx: ctx, plane: testplane.New(t), systemd: &drive.Fake{}, owner: me.Username}
	r.plane.Secrets["shared@1"] = "value"
	dir := t.TempDir()
	r.config = daemon.Config{
		ConfigFile: filepath.Join(dir, "etc", "agent.yaml"), Root: filepath.Join(dir, "root"), TrustDir: filepath.Join(dir, "trust"),
		BakedLock: filepath.Join(dir, "baked"), StatusFile: filepath.Join(dir, "status.json"),
		Systemd:  func(context.Context) (drive.Driver, error) { return r.systemd, nil },
		Registry: pull.NewClient(),
	}
	if err := os.MkdirAll(r.config.TrustDir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(r.config.TrustDir, "lock.pub"), public, 0o644); err != nil {
		t.Fatal(err)
	}
	var digest string
	r.lock, r.sig, digest = testimage.Lock(t, key, image)
	r.desired = func(number uint64) *plan.Plan {
		exec := func(args ...string) *plan.Exec {
			return &plan.Exec{Image: "alpha", Binary: "usr/bin/alpha", Args: args}
		}
		return &plan.Plan{
			Schema:     plan.Schema,
			Node:       plan.Node{ID: nodeID, Name: "node-0", Cluster: nodeID, Role: "worker", Address: "10.0.0.9"},
			Generation: number, Deployment: fmt.Sprintf("d-%d", number), Lock: digest, Registries: []string{registry.URL},
			Images:       []plan.Image{{Name: "alpha", Repository: image.Locked.Repository, Digest: image.Platform().Manifest}},
			Certificates: []plan.Certificate{{Name: "client", Purpose: "client", Owner: r.owner}},
			Secrets:      []plan.Secret{{Name: "shared", Version: "1", Owner: r.owner}},
			Files:        []plan.File{{Path: "b/config", Mode: "0444", Content: "one"}},
			Units: []plan.Unit{
				{Name: "slipway-b.service", Text: "[Unit]\nAfter=slipway-a.service\n[Service]\nExecStart=/x " + plan.Current + "/files/b/config\n", Start: true, Exec: exec("b")},
				{Name: "slipway-a.service", Text: "[Service]\n", Start: true, Exec: exec("a")},
			},
			Deadline: plan.Duration(4 * time.Minute),
		}
	}
	t.Cleanup(r.stop)
	return r
}

// configure writes the agent's configuration, as Ignition does.
func (r *rig) configure() {
	r.t.Helper()
	if err := os.MkdirAll(filepath.Dir(r.config.ConfigFile), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(r.config.ConfigFile, []byte(r.plane.AgentConfig(nodeID)), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) start() {
	ctx, cancel := context.WithCancel(r.ctx)
	ended := make(chan error, 1)
	r.mu.Lock()
	r.cancel, r.ended = cancel, ended
	r.mu.Unlock()
	go func() { ended <- daemon.Run(ctx, r.config, slog.New(slog.DiscardHandler)) }()
}

// kill ends the agent's context, from wherever it is; stop also waits.
func (r *rig) kill() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cancel != nil {
		r.cancel()
	}
}

func (r *rig) stop() {
	r.kill()
	r.mu.Lock()
	ended := r.ended
	r.ended = nil
	r.mu.Unlock()
	if ended != nil {
		if err := <-ended; err != nil {
			r.t.Errorf("the agent ended: %v", err)
		}
	}
}

func (r *rig) publish(p *plan.Plan) {
	r.t.Helper()
	r.plane.Publish(r.ctx, p, r.lock, r.sig)
}

func (r *rig) apply(p *plan.Plan, phase protocol.Phase) protocol.Signal {
	r.t.Helper()
	r.publish(p)
	return r.plane.Await(r.ctx, p.Deployment, phase)
}

func (r *rig) current() string {
	target, _ := os.Readlink(filepath.Join(r.config.Root, "current"))
	return filepath.Base(target)
}

func (r *rig) ready() {
	r.configure()
	r.start()
}

func TestTheFirstPlanIsAppliedInOrder(t *testing.T) {
	r := newRig(t)
	r.start() // before there is a configuration
	r.configure()
	r.apply(r.desired(1), protocol.Healthy)
	if want := []string{"reload", "start slipway-a.service", "start slipway-b.service"}; !slices.Equal(r.systemd.Actions(), want) {
		t.Errorf("systemd was asked %v, want %v", r.systemd.Actions(), want)
	}
	for _, name := range []string{"current/units/slipway-a.service", "current/exec/slipway-b.service.json", "current/files/b/config",
		"current/roots/alpha/usr/bin/alpha", "current/roots/alpha/exec.json", "current/start", "pki/client/tls.key", "secrets/shared@1"} {
		if _, err := os.Stat(filepath.Join(r.config.Root, name)); err != nil {
			t.Error(err)
		}
	}
	store, err := filepath.Glob(filepath.Join(r.config.Root, "images/*/root/usr/bin/alpha"))
	if err != nil || len(store) != 1 {
		t.Fatalf("in the store: %v %v", store, err)
	}
	first, _ := os.Stat(store[0])
	second, _ := os.Stat(filepath.Join(r.config.Root, "current/roots/alpha/usr/bin/alpha"))
	if !os.SameFile(first, second) {
		t.Error("the root has a copy instead of a link into the store")
	}
}

func TestTheSamePlanDoesNothing(t *testing.T) {
	r := newRig(t)
	r.ready()
	r.apply(r.desired(1), protocol.Healthy)
	r.stop()
	r.systemd.Forget()
	signals, polls := r.reports(), r.plane.Polls()
	r.start()
	for r.plane.Polls() < polls+2 { // the second poll means that the first answer was dealt with
		time.Sleep(time.Millisecond)
	}
	r.stop()
	if actions := r.systemd.Actions(); len(actions) != 0 {
		t.Errorf("systemd was asked %v", actions)
	}
	if now := r.reports(); now != signals {
		t.Errorf("%d new signals", now-signals)
	}
}

func TestOnlyWhatDiffersIsTouched(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*plan.Plan)
		want   []string
	}{
		"nothing but the number": {func(*plan.Plan) {}, []string{"reload"}},
		"a file that b uses":     {func(p *plan.Plan) { p.Files[0].Content = "two" }, []string{"reload", "restart slipway-b.service"}},
		"arguments of a":         {func(p *plan.Plan) { p.Units[1].Exec.Args = []string{"z"} }, []string{"reload", "restart slipway-a.service"}},
		"the text of both": {func(p *plan.Plan) {
			for i := range p.Units {
				p.Units[i].Text += "#\n"
			}
		}, []string{"reload", "restart slipway-a.service", "restart slipway-b.service"}},
		"b is gone": {func(p *plan.Plan) { p.Units = p.Units[1:] }, []string{"stop slipway-b.service", "reload"}},
		"a new unit": {func(p *plan.Plan) {
			p.Units = append(p.Units, plan.Unit{Name: "slipway-c.target", Text: "[Unit]\n", Start: true})
		}, []string{"reload", "start slipway-c.target"}},
		"a unit that others activate": {func(p *plan.Plan) {
			p.Units = append(p.Units, plan.Unit{Name: "slipway-c.target", Text: "[Unit]\n"})
		}, []string{"reload"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.ready()
			r.apply(r.desired(1), protocol.Healthy)
			r.systemd.Forget()
			next := r.desired(2)
			test.change(next)
			r.apply(next, protocol.Healthy)
			if actions := r.systemd.Actions(); !slices.Equal(actions, test.want) {
				t.Errorf("systemd was asked %v, want %v", actions, test.want)
			}
		})
	}
}

func TestAFailingPlanGoesBack(t *testing.T) {
	r := newRig(t)
	r.ready()
	r.apply(r.desired(1), protocol.Healthy)
	next := r.desired(2)
	next.Units[0].Exec.Args = []string{"bad"}
	r.systemd.Decide(func(job drive.Job) drive.State {
		if job.Unit == "slipway-b.service" && r.current() == "2" {
			return drive.State{Load: "loaded", Active: "failed", Sub: "failed"}
		}
		return drive.State{Load: "loaded", Active: "active", Sub: "running"}
	})
	signal := r.apply(next, protocol.Failed)
	if !strings.Contains(signal.Reason, "slipway-b.service failed") {
		t.Errorf("reason %q", signal.Reason)
	}
	r.plane.Await(r.ctx, next.Deployment, protocol.RolledBack)
	if r.current() != "1" {
		t.Errorf("current is %s, want 1", r.current())
	}
	// The same plan again is not tried again; the next one is.
	r.apply(r.desired(3), protocol.Healthy)
	if r.current() != "3" {
		t.Errorf("current is %s, want 3", r.current())
	}
	// What nobody needs is collected after the report.
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(time.Millisecond) {
		if _, err := os.Stat(filepath.Join(r.config.Root, "generations", "2")); os.IsNotExist(err) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the failed generation is still there")
		}
	}
}

func TestAFirstPlanThatFailsStaysAndTheNextOneReplacesIt(t *testing.T) {
	r := newRig(t)
	r.systemd.Decide(func(drive.Job) drive.State { return drive.State{Load: "loaded", Active: "failed", Sub: "failed"} })
	r.ready()
	r.apply(r.desired(1), protocol.Failed)
	r.systemd.Decide(nil)
	r.apply(r.desired(2), protocol.Healthy)
}

func TestADeadlineSaysWhatWasAwaited(t *testing.T) {
	r := newRig(t)
	r.systemd.Decide(func(drive.Job) drive.State { return drive.State{Load: "loaded", Active: "activating", Sub: "start"} })
	r.ready()
	var reason string
	for number, deadline := range longer {
		p := r.desired(uint64(number + 1))
		p.Deadline = plan.Duration(deadline)
		reason = r.apply(p, protocol.Failed).Reason
		if strings.Contains(reason, "slipway-a.service (activating, start)") && strings.Contains(reason, "deadline") {
			return
		}
	}
	t.Errorf("reason %q", reason)
}

// longer are deadlines for what must run out of time, but only after it got somewhere: how long
// that takes is the machine's matter.
var longer = []time.Duration{300 * time.Millisecond, time.Second, 3 * time.Second, 10 * time.Second, 30 * time.Second}

func TestANewerPlanReplacesOneUnderWay(t *testing.T) {
	r := newRig(t)
	r.systemd.Decide(func(drive.Job) drive.State { return drive.State{Load: "loaded", Active: "activating", Sub: "start"} })
	r.ready()
	r.apply(r.desired(1), protocol.Switched)
	r.publish(r.desired(2))
	r.plane.Await(r.ctx, "d-2", protocol.Switched)
	for _, unit := range []string{"slipway-a.service", "slipway-b.service"} {
		r.systemd.Set(unit, drive.State{Load: "loaded", Active: "active", Sub: "running"})
	}
	r.plane.Await(r.ctx, "d-2", protocol.Healthy)
	for _, signal := range r.plane.Signals() {
		if signal.Phase == protocol.Failed {
			t.Errorf("the replaced plan was reported as failed: %s", signal.Reason)
		}
	}
}

func TestAnOlderPlanIsRefused(t *testing.T) {
	r := newRig(t)
	r.ready()
	r.apply(r.desired(5), protocol.Healthy)
	signal := r.apply(r.desired(4), protocol.Failed)
	if !strings.Contains(signal.Reason, "older than generation 5") || r.current() != "5" {
		t.Errorf("reason %q, current %s", signal.Reason, r.current())
	}
}

func TestAPlanForAnotherNodeIsRefused(t *testing.T) {
	r := newRig(t)
	r.ready()
	p := r.desired(1)
	p.Node.ID = "00000000-0000-0000-0000-000000000001"
	r.publish(p)
	signal := r.plane.Await(r.ctx, "", protocol.Refused) // the deployment is none of this node's
	if !strings.Contains(signal.Reason, "this is node "+nodeID) || r.current() != "." {
		t.Errorf("reason %q, current %s", signal.Reason, r.current())
	}
}

// TestAStopAnywhereIsResumed ends the agent at each thing it asks of systemd, lets a new one go
// on, and wants the plan done, each phase told once.
func TestAStopAnywhereIsResumed(t *testing.T) {
	for _, at := range []string{"stop slipway-b.service", "reload", "restart slipway-a.service", "start slipway-c.service"} {
		t.Run(at, func(t *testing.T) {
			r := newRig(t)
			r.ready()
			r.apply(r.desired(1), protocol.Healthy)
			var once sync.Once
			hit := make(chan struct{})
			r.systemd.FailWith(func(action string) (err error) {
				if action == at {
					once.Do(func() {
						r.kill()
						close(hit)
						err = errors.New("killed")
					})
				}
				return err
			})
			next := r.desired(2)
			next.Units[1].Exec.Args = []string{"changed"}
			c := next.Units[0]
			c.Name = "slipway-c.service"
			next.Units = []plan.Unit{next.Units[1], c}
			r.publish(next)
			<-hit
			r.stop()
			r.start()
			r.plane.Await(r.ctx, next.Deployment, protocol.Healthy)
			r.stop()
			count := map[protocol.Phase]int{}
			for _, signal := range r.plane.Signals() {
				if signal.Deployment == next.Deployment && signal.Progress == nil {
					count[signal.Phase]++
				}
			}
			for _, phase := range []protocol.Phase{protocol.Joined, protocol.Staged, protocol.Switched, protocol.Healthy} {
				if count[phase] != 1 {
					t.Errorf("signal %s came %d times", phase, count[phase])
				}
			}
			if r.current() != "2" {
				t.Errorf("current is %s", r.current())
			}
			states, err := r.systemd.States(r.ctx, []string{"slipway-a.service", "slipway-b.service", "slipway-c.service"})
			if err != nil || states["slipway-a.service"].Active != "active" || states["slipway-b.service"].Active != "inactive" || states["slipway-c.service"].Active != "active" {
				t.Errorf("states %v (%v)", states, err)
			}
		})
	}
}

func TestATokenUsedByAnotherKeyEndsTheAgent(t *testing.T) {
	r := newRig(t)
	r.ready()
	r.apply(r.desired(1), protocol.Healthy)
	r.stop()
	if err := os.RemoveAll(filepath.Join(r.config.Root, "state", "identity")); err != nil {
		t.Fatal(err)
	}
	err := daemon.Run(r.ctx, r.config, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "token-used") {
		t.Errorf("error %v", err)
	}
}

func TestAJoinWithoutItsAnswerIsRepeated(t *testing.T) {
	r := newRig(t)
	r.ready()
	r.apply(r.desired(1), protocol.Healthy)
	r.stop()
	// As if the agent had died between the call and the answer's arrival on disk.
	if err := os.Remove(filepath.Join(r.config.Root, "state", "identity", "identity.json")); err != nil {
		t.Fatal(err)
	}
	r.start()
	r.apply(r.desired(2), protocol.Healthy)
}
