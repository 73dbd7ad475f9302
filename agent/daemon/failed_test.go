package daemon_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"slipway.build/slipway/agent/debug"
	"slipway.build/slipway/agent/generation"
	"slipway.build/slipway/agent/protocol"
)

// gone waits until nothing has that name.
func (r *rig) gone(path string) {
	r.t.Helper()
	for {
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			return
		}
		select {
		case <-r.ctx.Done():
			r.t.Fatalf("%s is still there", path)
		case <-time.After(time.Millisecond):
		}
	}
}

func TestWhatAFailedPlanWouldHaveChangedIsShownUntilANewerOneIsConfirmed(t *testing.T) {
	r := newRig(t)
	r.ready()
	r.apply(r.desired(1), protocol.Healthy)
	node := &debug.Node{Root: r.config.Root, TrustDir: r.config.TrustDir, BakedLock: r.config.BakedLock, StatusFile: r.config.StatusFile, Systemd: r.systemd, Now: time.Now}
	differs := func(other string, from, to uint64, step string) {
		t.Helper()
		diff, err := node.Diff(r.ctx, other)
		if err != nil {
			t.Errorf("diff %s: %v", other, err)
			return
		}
		if diff.From.Generation != from || diff.To.Generation != to || diff.To.Step != step || len(diff.Units) != 1 || diff.Units[0].Name != "slipway-b.service" {
			t.Errorf("diff %s: from %+v to %+v, units %+v; want from %d to %d (%s)", other, diff.From, diff.To, diff.Units, from, to, step)
		}
	}
	bad := r.desired(2)
	bad.Units[0].Exec.Args = []string{"bad"}
	r.failOn("2")
	r.apply(bad, protocol.Failed)
	r.plane.Await(r.ctx, bad.Deployment, protocol.RolledBack)
	r.gone(filepath.Join(r.config.Root, "generations", "2"))
	differs("", 1, 2, "abandoned")
	differs("2", 1, 2, "abandoned")
	// One that fails before its switch takes its place.
	refused := r.desired(3)
	refused.Units[0].Exec.Args = []string{"worse"}
	refused.Certificates[0].Purpose = "unknown"
	r.apply(refused, protocol.Failed)
	r.over(t, 3)
	differs("", 1, 3, "abandoned")
	if number, _, err := (&generation.Store{Root: r.config.Root}).Failed(); err != nil || number != 3 {
		t.Errorf("kept is %d, %v", number, err)
	}
	r.systemd.Decide(nil)
	good := r.desired(4)
	good.Units[0].Exec.Args = []string{"good"}
	r.apply(good, protocol.Healthy)
	r.gone(filepath.Join(r.config.Root, "failed", "3.json"))
	differs("", 1, 4, "confirmed")
}
