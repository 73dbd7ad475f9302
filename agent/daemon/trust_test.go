package daemon_test

import (
	"crypto/ecdsa"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/agent/testimage"
	"slipway.build/slipway/units/drive"
)

// clock is a time that a test moves.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

// refused publishes a plan and wants it refused with that reason and nothing changed.
func (r *rig) refused(p *plan.Plan, lock, signature []byte, current string, want ...string) {
	r.t.Helper()
	r.plane.Publish(r.ctx, p, lock, signature)
	signal := r.plane.Await(r.ctx, p.Deployment, protocol.Failed)
	for _, part := range want {
		if !strings.Contains(signal.Reason, part) {
			r.t.Errorf("the reason lacks %q: %s", part, signal.Reason)
		}
	}
	if r.current() != current {
		r.t.Errorf("current is %s, want %s", r.current(), current)
	}
}

// failOn has the first unit fail while that generation is current, so that it is gone back from.
func (r *rig) failOn(generation string) {
	r.systemd.Decide(func(job drive.Job) drive.State {
		if job.Unit == "slipway-b.service" && r.current() == generation {
			return drive.State{Load: "loaded", Active: "failed", Sub: "failed"}
		}
		return drive.State{Load: "loaded", Active: "active", Sub: "running"}
	})
}

// again is a plan under another deployment, so that its answer is told from the first one's.
func again(p *plan.Plan, deployment string) *plan.Plan {
	p.Deployment = deployment
	return p
}

func TestAReplayIsRefusedAfterARollBackARebootAndForgottenEntries(t *testing.T) {
	r := newRig(t)
	r.ready()
	const kept = 16 // entries of the journal
	for number := uint64(1); number <= kept+3; number++ {
		r.apply(r.desired(number), protocol.Healthy)
	}
	bad := r.desired(kept + 4)
	bad.Units[0].Text += "#\n"
	r.failOn("20")
	r.apply(bad, protocol.Failed)
	r.plane.Await(r.ctx, bad.Deployment, protocol.RolledBack)
	if r.current() != "19" {
		t.Fatalf("current is %s", r.current())
	}
	// The node begins anew with its memory, and is given what it has had.
	r.stop()
	r.start()
	r.refused(again(r.desired(1), "forgotten"), r.lock, r.sig, "19", "plan 1 is older than generation 20", "expected a number above 20, found 1")
	r.refused(again(r.desired(kept+3), "running"), r.lock, r.sig, "19", "expected a number above 20, found 19")
	r.refused(again(r.desired(kept+4), "failed"), r.lock, r.sig, "19", "expected a number above 20, found 20")
	r.apply(r.desired(kept+5), protocol.Healthy)
	// The very envelope of an older plan, whose entry is still there.
	r.refused(r.desired(kept+3), r.lock, r.sig, "21", "expected a number above 21, found 19")
}

func TestAnOlderLockIsRefusedEvenAfterItsPlanFailed(t *testing.T) {
	r := newRig(t)
	r.ready()
	lock := func(number int64) (raw, signature []byte, digest string) {
		return testimage.LockIssued(t, r.lockKey, number, time.Now().Add(-time.Hour), 24*time.Hour, r.image)
	}
	with := func(generation uint64, digest string) *plan.Plan {
		p := r.desired(generation)
		p.Lock = digest
		return p
	}
	third, thirdSig, thirdDigest := lock(3)
	fourth, fourthSig, fourthDigest := lock(4)
	p := with(1, thirdDigest)
	r.plane.Publish(r.ctx, p, third, thirdSig)
	r.plane.Await(r.ctx, p.Deployment, protocol.Healthy)
	p = with(2, fourthDigest)
	p.Units[0].Text += "#\n"
	r.failOn("2")
	r.plane.Publish(r.ctx, p, fourth, fourthSig)
	r.plane.Await(r.ctx, p.Deployment, protocol.RolledBack)
	r.stop()
	r.start()
	r.refused(with(3, thirdDigest), third, thirdSig, "1", "lock number 3 is older than the newest", "expected number 4 or above, found 3")
	p = with(4, fourthDigest)
	r.plane.Publish(r.ctx, p, fourth, fourthSig)
	r.plane.Await(r.ctx, p.Deployment, protocol.Healthy)
}

func TestWhatHasExpiredIsNotBegunAndWhatRunsGoesOn(t *testing.T) {
	r := newRig(t)
	var clock clock
	r.config.Now = clock.now
	r.ready()
	r.apply(r.desired(1), protocol.Healthy)
	late := r.desired(2)
	late.Issue(time.Now(), time.Hour)
	clock.add(2 * time.Hour)
	actions := len(r.systemd.Actions())
	r.refused(late, r.lock, r.sig, "1", "plan 2 has expired: expected to be applied before")
	expired, signature, digest := testimage.LockIssued(t, r.lockKey, 1, time.Now().Add(-time.Hour), 2*time.Hour, r.image)
	p := r.desired(3)
	p.Lock = digest
	r.refused(p, expired, signature, "1", "lock number 1 has expired")
	if now := len(r.systemd.Actions()); now != actions {
		t.Errorf("systemd was asked %v", r.systemd.Actions()[actions:])
	}
	// The plan that runs has expired as well; that it is delivered again is no news.
	r.stop()
	clock.add(10 * time.Hour)
	r.start()
	r.apply(func() *plan.Plan { p := r.desired(4); p.Issue(clock.now(), time.Hour); return p }(), protocol.Healthy)
}

func TestAnApplicationThatHasBegunIsFinishedThoughItsPlanHasExpiredAndItsKeyIsGone(t *testing.T) {
	r := newRig(t)
	var clock clock
	r.config.Now = clock.now
	r.ready()
	r.apply(r.desired(1), protocol.Healthy)
	var once sync.Once
	hit := make(chan struct{})
	r.systemd.FailWith(func(action string) (err error) {
		if action == "reload" {
			once.Do(func() {
				r.kill()
				close(hit)
				err = errors.New("killed")
			})
		}
		return err
	})
	p := r.desired(2)
	p.Units[0].Text += "#\n"
	p.Deadline = plan.Duration(100 * time.Hour)
	p.Issue(time.Now(), time.Hour)
	r.publish(p)
	<-hit
	r.stop()
	clock.add(10 * time.Hour)
	next, _ := testimage.Key(t)
	r.plane.Announce(r.ctx, r.keys(1, next), r.plane.PlanKey)
	r.start()
	r.plane.Await(r.ctx, p.Deployment, protocol.Healthy)
	if r.current() != "2" {
		t.Errorf("current is %s", r.current())
	}
}

// keys is a statement of plan keys.
func (r *rig) keys(number uint64, keys ...*ecdsa.PrivateKey) protocol.PlanKeySet {
	r.t.Helper()
	set := protocol.PlanKeySet{Number: number, Issued: time.Now().UTC().Truncate(time.Second)}
	for _, key := range keys {
		public, err := plan.PublicKey(&key.PublicKey)
		if err != nil {
			r.t.Fatal(err)
		}
		set.Keys = append(set.Keys, public)
	}
	return set
}

func TestPlanKeysAreRotatedWithOverlap(t *testing.T) {
	r := newRig(t)
	r.ready()
	old := r.plane.PlanKey
	next, _ := testimage.Key(t)
	third, _ := testimage.Key(t)
	signedBy := func(key *ecdsa.PrivateKey, number uint64, deployment string, phase protocol.Phase) protocol.Signal {
		p := again(r.desired(number), deployment)
		r.plane.PublishSignedBy(r.ctx, key, p, r.lock, r.sig)
		return r.plane.Await(r.ctx, p.Deployment, phase)
	}
	signedBy(old, 1, "old", protocol.Healthy)
	signedBy(next, 2, "before-it-is-announced", protocol.Failed)
	r.plane.Announce(r.ctx, r.keys(1, old, next), old)
	signedBy(next, 3, "overlap-new", protocol.Healthy)
	signedBy(old, 4, "overlap-old", protocol.Healthy)
	r.plane.Announce(r.ctx, r.keys(2, next), next)
	// What it learnt outlives the agent.
	r.stop()
	r.start()
	if signal := signedBy(old, 5, "after-the-drop", protocol.Failed); !strings.Contains(signal.Reason, "trusted keys") {
		t.Errorf("reason %q", signal.Reason)
	}
	signedBy(next, 6, "new", protocol.Healthy)
	// The dropped key announces nothing any more, and what it has announced breaks nothing.
	r.plane.Announce(r.ctx, r.keys(3, old, third), old)
	signal := signedBy(third, 7, "by-the-dropped-keys-friend", protocol.Failed)
	if !strings.Contains(signal.Reason, "after statement 2 of plan keys") || r.current() != "6" {
		t.Errorf("reason %q, current %s", signal.Reason, r.current())
	}
}
