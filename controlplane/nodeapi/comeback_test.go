package nodeapi

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/agent/daemon"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/agent/pull"
	"slipway.build/slipway/agent/testimage"
	"slipway.build/slipway/controlplane/pki"
	"slipway.build/slipway/controlplane/store"
	"slipway.build/slipway/units/drive"
)

const day = 24 * time.Hour

// wholeNode is the real agent of a node, with a fake systemd, on the harness' clock.
type wholeNode struct {
	*testNode
	h       *harness
	config  daemon.Config
	systemd *drive.Fake
}

// wholeNode registers a node that trusts locks by the key whose public half is given.
func (h *harness) wholeNode(cluster string, trusted []byte) *wholeNode {
	h.t.Helper()
	dir := h.t.TempDir()
	n := &wholeNode{testNode: h.node(cluster, "a", store.RoleWorker), h: h, systemd: &drive.Fake{}}
	n.config = daemon.Config{
		ConfigFile: filepath.Join(dir, "agent.yaml"), Root: filepath.Join(dir, "root"), TrustDir: filepath.Join(dir, "trust"),
		BakedLock: filepath.Join(dir, "baked"), StatusFile: filepath.Join(dir, "status.json"),
		Systemd: func(context.Context) (drive.Driver, error) { return n.systemd, nil },
		Now:     h.clock.now, Registry: pull.NewClient(),
	}
	text := fmt.Sprintf("controlPlane: %s\nnode: %s\ntoken: %s\nca: |\n", h.url, n.ID, n.token)
	for line := range strings.Lines(h.system.PEM()) {
		text += "  " + line
	}
	for file, content := range map[string]string{n.config.ConfigFile: text, filepath.Join(n.config.TrustDir, "lock.pub"): string(trusted)} {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			h.t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			h.t.Fatal(err)
		}
	}
	return n
}

// on runs the agent until done reports true.
func (n *wholeNode) on(done func(ctx context.Context) bool) {
	n.h.t.Helper()
	ctx, cancel := context.WithTimeout(n.h.t.Context(), 5*time.Minute)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	ended := make(chan error, 1)
	run, stop := context.WithCancel(ctx)
	go func() { ended <- daemon.Run(run, n.config, slog.New(slog.NewTextHandler(n.h.log, nil))) }()
	for !done(ctx) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			n.h.t.Errorf("the node does not get there; the logs:\n%s", n.h.log)
			stop()
			<-ended
			n.h.t.FailNow()
		}
	}
	stop()
	if err := <-ended; err != nil {
		n.h.t.Fatalf("the agent ended: %v", err)
	}
}

// has reports whether the deployment has a signal of that phase.
func (n *wholeNode) has(deployment string, phase protocol.Phase) func(context.Context) bool {
	return func(ctx context.Context) bool {
		known, err := n.h.store.Signals(ctx, deployment, 0)
		if err != nil {
			n.h.t.Error(err)
		}
		return slices.ContainsFunc(known, func(row store.Signal) bool { return row.Phase == string(phase) })
	}
}

// plansDone is how often the agent has said that it is done with its plan.
func (h *harness) plansDone() int { return strings.Count(h.log.String(), "the plan is done") }

// TestANodeThatWasOffFor400DaysAppliesItsPlan has everything expire that can: the node's certificate
// and token, its plan before it was fetched, and, by rotation, the key that had signed it.
func TestANodeThatWasOffFor400DaysAppliesItsPlan(t *testing.T) {
	h := newHarness(t)
	key, trusted := testimage.Key(t)
	image := testimage.New(t, "alpha", testimage.Zstd, []testimage.File{{Path: "usr/bin/alpha", Content: testimage.Content("alpha", 1<<12)}})
	registry := testimage.NewRegistry(t, nil, image)
	lock, signature, digest := testimage.LockIssued(t, key, 1, h.clock.now(), 5*365*day, image)
	h.server.Locks = StoreLocks{Store: h.store, Statements: func() []protocol.Signed { return nil }}
	h.tx(func(ctx context.Context, tx *store.Tx) error {
		return tx.KeepLock(ctx, &store.Lock{Digest: digest, Canonical: lock, Signature: signature})
	})
	cluster := h.cluster()
	n := h.wholeNode(cluster, trusted)
	n.on(func(ctx context.Context) bool { // it joins, and is off before it has a plan
		now, err := h.store.Node(ctx, n.ID)
		if err != nil {
			t.Error(err)
		}
		return err == nil && !now.SeenAt.IsZero()
	})
	deployment := h.publish(n.testNode, 1, func(p *plan.Plan) {
		p.Lock, p.Registries, p.Certificates = digest, []string{registry.URL}, nil
		p.Images = []plan.Image{{Name: "alpha", Repository: image.Locked.Repository, Digest: image.Platform().Manifest}}
		p.Units = []plan.Unit{{Name: "slipway-a.service", Text: "[Service]\n", Start: true, Exec: &plan.Exec{Image: "alpha", Binary: "usr/bin/alpha"}}}
		p.Issue(h.clock.now(), 30*day)
	})
	steps := 0
	for range 400 {
		h.clock.add(day)
		done, err := h.system.Plans.Tend(t.Context(), pki.PlanKeyLife)
		if err != nil {
			t.Fatal(err)
		}
		if done != "" {
			steps++
		}
	}
	if steps != 2 {
		t.Fatalf("the plan key made %d steps of a rotation, want it announced and the one before dropped", steps)
	}
	healthy := n.has(deployment, protocol.Healthy)
	n.on(func(ctx context.Context) bool { return healthy(ctx) && h.plansDone() == 1 })
	if want := []string{"reload", "start slipway-a.service"}; !slices.Equal(n.systemd.Actions(), want) {
		t.Errorf("systemd was asked %v, want %v", n.systemd.Actions(), want)
	}
	history := reasons(h.events(cluster))
	for _, want := range []string{"Signal: node came back from 127.0.0.1", "issued anew as plan 2", "Signal: deployment " + deployment + " succeeded"} {
		if !strings.Contains(history, want) {
			t.Errorf("%q is not in the history:\n%s", want, history)
		}
	}

	// Off for as long again: what it runs is not issued, fetched or applied anew.
	h.clock.add(400 * day)
	n.systemd.Forget()
	seen, err := h.store.Node(t.Context(), n.ID)
	if err != nil {
		t.Fatal(err)
	}
	n.on(func(ctx context.Context) bool {
		now, err := h.store.Node(ctx, n.ID)
		return err == nil && now.CertificateSerial != seen.CertificateSerial && h.plansDone() == 2
	})
	if acted := n.systemd.Actions(); len(acted) != 0 {
		t.Errorf("systemd was asked %v", acted)
	}
	if now, err := h.store.CurrentPlan(t.Context(), n.ID); err != nil || now.Generation != 2 {
		t.Errorf("generation %d: %v", now.Generation, err)
	}
}
