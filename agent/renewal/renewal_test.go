package renewal_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"log/slog"
	"math/big"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"slipway.build/slipway/agent/certificates"
	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/join"
	"slipway.build/slipway/agent/journal"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/renewal"
	"slipway.build/slipway/units/drive"
)

// identity is a node's certificate that renews itself, or fails to.
type identity struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	life time.Duration

	mu     sync.Mutex
	leaf   *x509.Certificate
	at     []time.Time // of the renewals
	answer error
}

func newIdentity(t *testing.T, life time.Duration) *identity {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i := &identity{t: t, key: key, life: life}
	i.certify()
	return i
}

func (i *identity) certify() {
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		i.t.Error(err)
		return
	}
	template := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: "node:x"}, NotBefore: time.Now(), NotAfter: time.Now().Add(i.life)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &i.key.PublicKey, i.key)
	if err != nil {
		i.t.Error(err)
		return
	}
	if i.leaf, err = x509.ParseCertificate(der); err != nil {
		i.t.Error(err)
	}
}

func (i *identity) Leaf() *x509.Certificate {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.leaf
}

func (i *identity) Renew(context.Context, join.RenewAPI) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.at = append(i.at, time.Now())
	if i.answer == nil {
		i.certify()
	}
	return i.answer
}

func (i *identity) renewals() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.at)
}

// set decides what the next renewals come to.
func (i *identity) set(answer error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.answer = answer
}

// noPairs are the pairs of a node without a plan.
type noPairs struct{}

func (noPairs) NextRenewal([]plan.Certificate) time.Time         { return time.Time{} }
func (noPairs) Ensure(context.Context, []plan.Certificate) error { return nil }
func noPlan() (*plan.Plan, error)                                { return nil, nil }

// memory is a journal of owed restarts.
type memory struct {
	mu      sync.Mutex
	owed    []journal.Owed
	settled []journal.Owed
}

func (m *memory) OwedRestarts() ([]journal.Owed, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]journal.Owed(nil), m.owed...), nil
}

func (m *memory) Settle(done []journal.Owed) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var left []journal.Owed
	for _, o := range m.owed {
		gone := false
		for _, d := range done {
			gone = gone || d == o
		}
		if !gone {
			left = append(left, o)
		}
	}
	m.owed, m.settled = left, append(m.settled, done...)
	return nil
}

func run(t *testing.T, i *identity, restarts *renewal.Restarter) (r *renewal.Renewer, renewed func() int, stop func()) {
	t.Helper()
	var mu sync.Mutex
	times := 0
	if restarts == nil {
		restarts = &renewal.Restarter{Journal: &memory{}, Plan: noPlan, Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	}
	r = renewal.New(renewal.Config{
		Identity: i, Pairs: noPairs{}, Plan: noPlan, Restarts: restarts, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Renewed: func() { mu.Lock(); defer mu.Unlock(); times++ },
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	return r, func() int { mu.Lock(); defer mu.Unlock(); return times }, func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("it ended with %v", err)
		}
	}
}

func TestAnIdentityIsRenewedAfterTwoThirdsOfItsLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const life = 300 * time.Hour
		i := newIdentity(t, life)
		_, renewed, stop := run(t, i, nil)
		defer stop()
		for n := 1; n <= 5; n++ {
			made := i.Leaf().NotBefore
			time.Sleep(time.Until(made.Add(life*2/3 - time.Minute)))
			if i.renewals() != n-1 {
				t.Fatalf("renewal %d came before two thirds of the life", n)
			}
			time.Sleep(time.Until(made.Add(life*2/3 + life/10 + time.Minute)))
			if i.renewals() != n || renewed() != n {
				t.Fatalf("%d renewals, %d told of, at the end of the time for number %d", i.renewals(), renewed(), n)
			}
		}
	})
}

func TestManyCertificatesMadeTogetherAreNotRenewedTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		times := map[time.Time]bool{}
		for range 20 {
			leaf := newIdentity(t, 240*time.Hour).Leaf()
			at := certificates.RenewAt(leaf)
			if at.Before(certificates.Due(leaf)) || at.After(certificates.Due(leaf).Add(24*time.Hour)) {
				t.Errorf("renewed at %s of %s to %s", at, leaf.NotBefore, leaf.NotAfter)
			}
			times[at.Truncate(time.Minute)] = true
		}
		if len(times) < 15 {
			t.Errorf("20 certificates have %d times", len(times))
		}
	})
}

func TestARenewalThatFailsIsTriedAgainUntilItSucceeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const life = 30 * time.Hour
		i := newIdentity(t, life)
		i.set(fault.Retriablef("the control plane is away"))
		_, renewed, stop := run(t, i, nil)
		defer stop()
		time.Sleep(60 * time.Hour) // long past its end
		tries := i.renewals()
		if tries < 100 || renewed() != 0 {
			t.Errorf("%d tries, %d told of", tries, renewed())
		}
		i.set(nil)
		time.Sleep(10 * time.Minute)
		if renewed() != 1 || i.renewals() != tries+1 {
			t.Errorf("%d told of after %d more tries", renewed(), i.renewals()-tries)
		}
	})
}

func TestADeletedNodeAsksSeldomAndStopsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIdentity(t, 3*time.Hour)
		i.set(fault.Terminalf("unknown-node"))
		_, _, stop := run(t, i, nil)
		defer stop()
		time.Sleep(27 * time.Hour)
		if n := i.renewals(); n < 20 || n > 30 {
			t.Errorf("it asked %d times in a day", n)
		}
	})
}

func TestARefusedCertificateIsRenewedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIdentity(t, 1000*time.Hour)
		r, renewed, stop := run(t, i, nil)
		defer stop()
		time.Sleep(time.Minute)
		for range 3 {
			r.Refused()
		}
		time.Sleep(time.Second)
		if renewed() != 1 {
			t.Errorf("renewed %d times", renewed())
		}
	})
}

func TestRestartsComeOneAtATimeAndOnlyWhileAllIsWell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &memory{owed: []journal.Owed{
			{Unit: "slipway-a.service", Certificate: "x", Fingerprint: "new"},
			{Unit: "slipway-b.service", Certificate: "x", Fingerprint: "new"},
			{Unit: "slipway-c.service", Certificate: "y", Fingerprint: "never written"},
			{Unit: "slipway-gone.service", Certificate: "x", Fingerprint: "new"},
		}}
		var systemd drive.Fake
		p := &plan.Plan{}
		for _, name := range []string{"slipway-a.service", "slipway-b.service", "slipway-c.service"} {
			p.Units = append(p.Units, plan.Unit{Name: name, Start: true})
			systemd.Set(name, drive.State{Load: "loaded", Active: "active", Sub: "running"})
		}
		systemd.Set("slipway-c.service", drive.State{Load: "loaded", Active: "activating", Sub: "start"})
		i := newIdentity(t, 1000*time.Hour)
		_, _, stop := run(t, i, &renewal.Restarter{
			Journal: j, Systemd: &systemd, Plan: func() (*plan.Plan, error) { return p, nil }, Now: time.Now, Log: slog.New(slog.DiscardHandler),
			Current: func(name string) string { return map[string]string{"x": "new", "y": "old"}[name] },
		})
		defer stop()
		time.Sleep(time.Minute)
		if actions := systemd.Actions(); len(actions) != 0 {
			t.Fatalf("while a unit is not well: %v", actions)
		}
		systemd.Set("slipway-c.service", drive.State{Load: "loaded", Active: "active", Sub: "running"})
		time.Sleep(time.Minute)
		actions := systemd.Actions()
		if len(actions) != 2 || actions[0] != "restart slipway-a.service" || actions[1] != "restart slipway-b.service" {
			t.Errorf("systemd was asked %v", actions)
		}
		if owed, _ := j.OwedRestarts(); len(owed) != 0 || len(j.settled) != 4 {
			t.Errorf("still owed %v, settled %v", owed, j.settled)
		}
	})
}
