package typedwork

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
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

const (
	nodeID = "5f0c54a4-4d0c-4a3e-9d39-0d8f2a51f2aa"
	// asAgent in the environment makes this program the agent; its value is where things are.
	asAgent = "SLIPT_TYPEDWORK_AGENT"
	// purpose of the plan's certificate, and so the name in it.
	purpose = "typed-work"
)

func TestMain(m *testing.M) {
	if text := os.Getenv(asAgent); text != "" {
		os.Exit(beAgent(text))
	}
	os.Exit(m.Run())
}

// places says where an agent has its files.
type places struct{ Config, Root, Trust string }

// beAgent runs the whole agent, on a systemd of which it needs nothing.
func beAgent(text string) int {
	var at places
	if err := json.Unmarshal([]byte(text), &at); err != nil {
		return 2
	}
	err := daemon.Run(context.Background(), daemon.Config{
		ConfigFile: at.Config, Root: at.Root, TrustDir: at.Trust, BakedLock: filepath.Join(at.Root, "baked"), StatusFile: filepath.Join(at.Root, "status.json"),
		Systemd:  func(context.Context) (drive.Driver, error) { return &drive.Fake{}, nil },
		Registry: pull.NewClient(),
	}, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	fmt.Fprintln(os.Stderr, "the agent ended:", err)
	return 1
}

// agent is the agent as a process, with its control plane.
type agent struct {
	t         *testing.T
	plane     *testplane.Plane
	places    places
	dir       string
	lock, sig []byte
	digest    string
	number    uint64
	process   *process
}

func newAgent(t *testing.T) *agent {
	t.Helper()
	dir := t.TempDir()
	a := &agent{t: t, dir: dir, plane: testplane.New(t), places: places{filepath.Join(dir, "agent.yaml"), filepath.Join(dir, "root"), filepath.Join(dir, "trust")}}
	key, public := testimage.Key(t)
	image := testimage.New(t, "alpha", testimage.Zstd, []testimage.File{{Path: "usr/bin/alpha", Content: []byte("x")}})
	a.lock, a.sig, a.digest = testimage.Lock(t, key, image)
	write(t, filepath.Join(a.places.Trust, "lock.pub"), public)
	write(t, a.places.Config, []byte(a.plane.AgentConfig(nodeID)))
	return a
}

// publish gives the node a plan with these tasks, and returns its deployment.
func (a *agent) publish(tasks ...plan.Task) string {
	a.t.Helper()
	me, err := user.Current()
	if err != nil {
		a.t.Fatal(err)
	}
	a.number++
	p := &plan.Plan{
		Schema: plan.Schema, Node: plan.Node{ID: nodeID, Name: "m0", Cluster: nodeID, Role: "master", Address: "127.0.0.1"},
		Generation: a.number, Deployment: fmt.Sprintf("node-%d", a.number), Lock: a.digest,
		Images: []plan.Image{}, Units: []plan.Unit{}, Registries: []string{},
		Certificates: []plan.Certificate{{Name: "client", Purpose: purpose, Owner: me.Username}},
		Tasks:        tasks, Deadline: plan.Duration(long),
	}
	a.plane.Publish(a.t.Context(), p, a.lock, a.sig)
	return p.Deployment
}

func (a *agent) start() {
	a.t.Helper()
	self, err := os.Executable()
	if err != nil {
		a.t.Fatal(err)
	}
	raw, err := json.Marshal(a.places)
	if err != nil {
		a.t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), asAgent+"="+string(raw))
	a.process = run(a.t, a.dir, "agent", cmd)
}

// await waits for the deployment's end, and returns what the tasks found out.
func (a *agent) await(deployment string) map[string]map[string]string {
	a.t.Helper()
	a.plane.Use(a.t)
	ctx, cancel := context.WithTimeout(a.t.Context(), long)
	defer cancel()
	return a.plane.Await(ctx, deployment, protocol.Healthy).Outputs
}

// surviving gives the agent a plan, has it killed at the point that the gate is armed with,
// starts it again and waits until the plan is done. It reports whether the point was reached.
func (a *agent) surviving(g *gate, point func(path, method string, code int) bool, tasks ...plan.Task) (map[string]map[string]string, bool) {
	a.t.Helper()
	fired := g.arm(a, point)
	deployment := a.publish(tasks...)
	a.start()
	defer func() { a.process.kill() }()
	ended := make(chan struct{})
	ctx, cancel := context.WithCancel(a.t.Context())
	go func() { // whichever comes first
		defer close(ended)
		for ctx.Err() == nil {
			for _, s := range a.plane.Signals() {
				if s.Deployment == deployment && (s.Phase == protocol.Healthy || s.Phase == protocol.Failed) {
					return
				}
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	killed := false
	select {
	case <-fired:
		killed = true
	case <-ended:
	case <-time.After(long):
		a.t.Fatalf("neither killed nor done:\n%s", a.process.tail())
	}
	cancel()
	<-ended
	if killed {
		a.start()
	}
	return a.await(deployment), killed
}
