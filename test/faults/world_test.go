package faults

import (
	"context"
	"crypto/ecdsa"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-systemd/v22/dbus"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/testimage"
	"slipway.build/slipway/agent/testplane"
	"slipway.build/slipway/test/faults/node"
)

// world is a node, its control plane, its registry and the plans between them.
type world struct {
	t        *testing.T
	ctx      context.Context
	node     *node.Node
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

const agentUnit = `[Unit]
Description=Slipway agent under test
StartLimitIntervalSec=0
[Service]
Type=notify
Environment=SLIPWAY_FAULT_SOCKET=/slipt/control.sock SLIPWAY_FAULT_CLOCK=/slipt/clock
ExecStart=/usr/bin/slipway-agent run
Restart=always
RestartSec=10ms
`

// limit bounds everything that is waited for; it is generous because the machine may be busy.
const limit = 90 * time.Second

func build(t *testing.T, pkg, out string, flags ...string) string {
	t.Helper()
	args := append([]string{"build", "-trimpath", "-ldflags", "-s -w", "-o", out}, flags...)
	cmd := exec.CommandContext(t.Context(), "go", append(args, pkg)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if raw, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", pkg, err, raw)
	}
	return out
}

// programs are built once for all worlds.
type programs struct {
	tree, agent, supervisor string
	component               []byte
}

func buildPrograms(t *testing.T) *programs {
	t.Helper()
	p := &programs{tree: node.BaseTree(t)}
	bin := t.TempDir()
	p.agent = build(t, "slipway.build/slipway/cmd/slipway-agent", filepath.Join(bin, "agent"), "-tags", "fault")
	p.supervisor = build(t, "slipway.build/slipway/cmd/slipway-exec", filepath.Join(bin, "exec"))
	var err error
	p.component, err = os.ReadFile(build(t, "./testdata/component", filepath.Join(bin, "component")))
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
	w := &world{t: t, ctx: ctx, images: map[string][]*testimage.Image{}, deadline: 20 * time.Second}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	w.address = listener.Addr().String()
	must(t, listener.Close())
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
	config := fmt.Sprintf("controlPlane: %s\nnode: %s\ntoken: %s\nca: |\n", w.plane.URL, nodeID, testplane.Token)
	for line := range strings.Lines(w.plane.CA) {
		config += "  " + line
	}
	w.node = node.New(t, name, p.tree, p.agent, p.supervisor, map[string]string{
		"/usr/lib/systemd/system/slipway-agent.service": agentUnit,
		plan.TrustDir + "/lock.pub":                     string(lockPEM),
		plan.AgentConfig:                                config,
	})
	must(t, w.node.Write(plan.ImportTool, "#!/bin/sh\nexit 0\n", 0o755))
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
		w.t.Fatalf("%v\n%s", err, w.node.Journal(50))
	}
	if w.systemd != nil {
		w.systemd.Close()
	}
	w.systemd = conn
}

func (w *world) publish(s *shape) {
	w.t.Helper()
	w.plane.Publish(w.ctx, s.plan, s.lock, s.signature)
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
	for range 2 {
		s := w.next()
		w.publish(s)
		if err := w.settle(s); err != nil {
			w.t.Fatalf("generation %d: %v\n%s", s.number, err, w.node.Journal(80))
		}
	}
}
