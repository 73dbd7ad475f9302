package daemon_test

import (
	"crypto/ecdsa"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/agent/journal"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/agent/standalone"
	"slipway.build/slipway/agent/status"
	"slipway.build/slipway/agent/testimage"
)

// alone makes a node without a control plane of the rig: who it is, whom it believes, and where
// its plan comes from.
func (r *rig) alone(public []byte) {
	r.t.Helper()
	r.config.PlanFile = filepath.Join(filepath.Dir(r.config.ConfigFile), "plan.json")
	r.file(r.config.ConfigFile, []byte("node: "+nodeID+"\n"))
	r.file(filepath.Join(filepath.Dir(r.config.ConfigFile), standalone.KeysFile), public)
}

func (r *rig) file(path string, raw []byte) {
	r.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path+".new", raw, 0o600); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		r.t.Fatal(err)
	}
}

// give puts a plan into the file.
func (r *rig) give(key *ecdsa.PrivateKey, p *plan.Plan) {
	r.t.Helper()
	p.Issue(time.Now(), time.Hour)
	envelope, err := plan.Seal(r.ctx, p, key)
	if err != nil {
		r.t.Fatal(err)
	}
	raw, err := json.Marshal(protocol.Delivery{Envelope: envelope, LockBytes: r.lock, LockSignature: r.sig})
	if err != nil {
		r.t.Fatal(err)
	}
	r.file(r.config.PlanFile, raw)
}

// shows waits until the status file says something.
func (r *rig) shows(text string) {
	r.t.Helper()
	for {
		now, err := status.Read(r.config.StatusFile)
		if err == nil && strings.Contains(now.Doing+" "+now.Reason, text) {
			return
		}
		select {
		case <-r.ctx.Done():
			r.t.Fatalf("the status never said %q: %+v (%v)", text, now, err)
		case <-time.After(time.Millisecond):
		}
	}
}

// plain is a plan that asks nobody for anything.
func (r *rig) plain(number uint64) *plan.Plan {
	p := r.desired(number)
	p.Certificates, p.Secrets = nil, nil
	return p
}

func TestANodeWithoutAControlPlaneFollowsAFile(t *testing.T) {
	r := newRig(t)
	key, public := testimage.Key(t)
	other, otherPublic := testimage.Key(t)
	r.alone(public)
	r.start()
	r.shows("waiting for a plan")
	r.give(key, r.plain(1))
	r.shows("the plan is done")
	if r.current() != "1" || r.plane.Polls() != 0 {
		t.Fatalf("current is %s; %d polls", r.current(), r.plane.Polls())
	}
	// Nobody whose key is not in the file is believed, whatever the control plane says.
	r.give(other, r.plain(2))
	r.give(r.plane.PlanKey, r.plain(3))
	r.give(key, r.plain(4))
	for r.current() != "4" {
		select {
		case <-r.ctx.Done():
			t.Fatalf("current is %s", r.current())
		case <-time.After(time.Millisecond):
		}
	}
	r.stop()
	// Other keys are others to believe, and it is no longer the first.
	r.file(filepath.Join(filepath.Dir(r.config.ConfigFile), standalone.KeysFile), otherPublic)
	r.give(other, r.plain(5))
	r.start()
	for r.current() != "5" {
		select {
		case <-r.ctx.Done():
			t.Fatalf("current is %s", r.current())
		case <-time.After(time.Millisecond):
		}
	}
	r.give(key, r.plain(6))
	asks := r.desired(7)
	asks.Certificates = nil
	r.give(other, asks)
	r.shows("secrets in files")
	asks = r.desired(8)
	asks.Secrets = nil
	r.give(other, asks)
	r.shows("nobody to certify client")
	r.file(filepath.Join(filepath.Dir(r.config.ConfigFile), standalone.SecretsDir, "shared@1"), []byte("by hand"))
	asks = r.desired(9)
	asks.Certificates = nil
	r.give(other, asks)
	r.shows("the plan is done")
	r.stop()
	if r.current() != "9" {
		t.Errorf("current is %s", r.current())
	}
	memory, err := journal.Open(filepath.Join(r.config.Root, "state"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = memory.Close() }()
	queued, err := memory.Queue(10)
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range queued {
		if q.Signal.Phase != protocol.Failed && q.Signal.Phase != protocol.Observed { // the last may still be there
			t.Errorf("a signal is kept for nobody: %+v", q.Signal)
		}
	}
	for _, s := range r.plane.Signals() {
		t.Errorf("the control plane heard %+v", s)
	}
}

func TestWithoutAPlanFileAControlPlaneIsNeeded(t *testing.T) {
	r := newRig(t)
	_, public := testimage.Key(t)
	r.alone(public)
	r.config.PlanFile = ""
	r.start()
	r.configure()
	r.plane.Publish(r.ctx, r.desired(1), r.lock, r.sig)
	r.plane.Await(r.ctx, "d-1", protocol.Healthy)
}
