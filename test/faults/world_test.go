package faults

import (
	"context"
	"crypto/ecdsa"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/testimage"
	"slipway.build/slipway/agent/testplane"
	"slipway.build/slipway/test/testnode"
)

// world is a node, its control plane, its registry and the plans between them.
type world struct {
	t        *testing.T
	ctx      context.Context
	node     *testnode.Node
	control  *control
	systemd  *dbus.Conn
	plane    *testplane.Plane
	registry *testimage.Registry
	disturb  testplane.Disturbance // of the registry
	lockKey  *ecdsa.PrivateKey
	images   map[string][]*testimage.Image // by name, a version each
	address  string                        // alpha's
	deadline time.Duration
	counter  uint64 // the number of the newest plan

	current  *shape // what runs, whole
	previous *shape // what a failure would go back to, nil when there is nothing
	// forgotten is a plan of which the control plane has forgotten what it was told.
	forgotten *shape
	steadyID  string // the invocation of the unit that no plan changes
}

// diskSize is the size of the file system that the agent's directory is on.
const diskSize = 256 << 20

// limit bounds everything that is waited for; it is generous because the machine may be busy.
const limit = 4 * time.Minute

// programs are built once for all worlds.
type programs struct {
	tree      string
	programs  testnode.Programs
	component []byte
}

func buildPrograms(t *testing.T) *programs {
	t.Helper()
	p := &programs{tree: testnode.BaseTree(t), programs: testnode.BuildPrograms(t, "-tags", "fault")}
	var err error
	p.component, err = os.ReadFile(testnode.Build(t, "./testdata/component"))
	must(t, err)
	return p
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newWorld prepares a world; its node is not booted yet.
func newWorld(t *testing.T, name string, p *programs) *world {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	w := &world{t: t, ctx: ctx, address: testnode.FreeAddress(t), images: map[string][]*testimage.Image{}, deadline: 3 * time.Minute}
	var all []*testimage.Image
	add := func(img *testimage.Image) {
		name := img.Locked.Name
		w.images[name] = append(w.images[name], img)
		all = append(all, img)
	}
	add(testimage.New(t, "beta", testimage.Zstd, []testimage.File{{Path: "usr/bin/beta", Content: p.component}}))
	for v := range versions {
		add(testimage.New(t, "alpha", testimage.Zstd, []testimage.File{{Path: "usr/bin/alpha", Content: fmt.Appendf(nil, "%sversion %d", p.component, v)}}))
		add(testimage.New(t, "pause", testimage.Zstd, []testimage.File{{Path: "pause", Content: fmt.Appendf(nil, "pause %d", v)}}))
	}
	w.registry = testimage.NewRegistry(t, w.disturb.Wrap, all...)
	w.plane = testplane.New(t)
	for v := range versions {
		w.plane.Secrets[fmt.Sprintf("shared@%d", v)] = secret(v)
	}
	var lockPEM []byte
	w.lockKey, lockPEM = testimage.Key(t)
	w.node = testnode.New(t, testnode.Config{
		Name: name, Tree: p.tree, Programs: p.programs, Shares: true,
		Environment: []string{"SLIPWAY_FAULT_SOCKET=" + testnode.Harness + "/control.sock", "SLIPWAY_FAULT_CLOCK=" + testnode.Harness + "/clock"},
		// In memory: what a lost cache loses is the power-loss model's part, not the node's.
		Memory: diskSize,
		Layer:  map[string]string{plan.TrustDir + "/lock.pub": string(lockPEM), plan.AgentConfig: w.plane.AgentConfig(nodeID)},
	})
	must(t, w.node.Write(plan.ImportTool, "#!/bin/sh\nexit 0\n", 0o755))
	var err error
	w.control, err = newControl(w.node.Shared("control.sock"))
	must(t, err)
	t.Cleanup(w.control.close)
	w.strangers()
	return w
}

func secret(version int) string { return fmt.Sprintf("secret value %d of the test", version) }

// boot starts the node and connects to its systemd.
func (w *world) boot() {
	w.t.Helper()
	must(w.t, w.node.Boot())
	w.connect()
}

func (w *world) connect() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, limit)
	defer cancel()
	conn, err := w.node.Systemd(ctx)
	if err != nil {
		w.t.Fatalf("%v\n%s", err, w.node.Journal(w.ctx, 50))
	}
	if w.systemd != nil {
		w.systemd.Close()
	}
	w.systemd = conn
}

func (w *world) publish(s *shape) {
	w.t.Helper()
	w.plane.Publish(w.ctx, s.plan, s.lock, s.signature)
	w.control.release()
}

// settle waits until the node runs a generation whole and nothing is left of others; it becomes
// the current one.
func (w *world) settle(s *shape) error {
	previous := w.previous
	if w.current != nil && w.current != s {
		previous = w.current
	}
	if err := w.eventually(limit, func() error { return w.whole(s, previous) }); err != nil {
		return err
	}
	w.current, w.previous = s, previous
	return nil
}

// eventually repeats a check until it passes, or returns its last error.
func (w *world) eventually(within time.Duration, check func() error) error {
	for deadline := time.Now().Add(within); ; time.Sleep(5 * time.Millisecond) {
		err := check()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) || w.ctx.Err() != nil {
			return fmt.Errorf("not within %s: %w", within, err)
		}
	}
}

// first boots the node and brings it to its first two generations.
func (w *world) first() {
	w.t.Helper()
	w.boot()
	w.undisturbed()
	w.undisturbed()
}

// undisturbed brings the node to its next generation.
func (w *world) undisturbed() {
	w.t.Helper()
	s := w.next()
	w.publish(s)
	if err := w.settle(s); err != nil {
		w.t.Fatalf("generation %d: %v\n%s", s.number, err, w.node.Journal(w.ctx, 80))
	}
}
