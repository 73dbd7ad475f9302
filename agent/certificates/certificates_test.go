package certificates_test

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/agent/certificates"
	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/join"
	"slipway.build/slipway/agent/journal"
	"slipway.build/slipway/agent/nodeapi"
	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/agent/testplane"
)

// counting counts the calls of the node API.
type counting struct {
	certificates.API
	calls int
}

func (c *counting) Certificates(ctx context.Context, r []protocol.CertificateRequest) ([]protocol.CertificateResponse, error) {
	c.calls++
	return c.API.Certificates(ctx, r)
}

func newMaker(t *testing.T) (*certificates.Maker, *counting, string) {
	t.Helper()
	plane := testplane.New(t)
	config := protocol.AgentConfig{ControlPlane: plane.URL, CA: plane.CA, Node: "5f0c54a4-4d0c-4a3e-9d39-0d8f2a51f2aa", Token: testplane.Token}
	first, err := nodeapi.New(plane.URL, plane.CA, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	identity, err := join.Join(t.Context(), filepath.Join(t.TempDir(), "identity"), config, first, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	api, err := nodeapi.New(plane.URL, plane.CA, identity.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(api.Close)
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	counted := &counting{API: api}
	return &certificates.Maker{Dir: t.TempDir(), API: counted, Now: time.Now}, counted, me.Username
}

func TestPairsAreMadeInOneCallAndKept(t *testing.T) {
	maker, api, owner := newMaker(t)
	wanted := []plan.Certificate{{Name: "a", Purpose: "server", Owner: owner}, {Name: "b", Purpose: "client", Owner: owner}}
	for range 2 {
		if err := maker.Ensure(t.Context(), wanted); err != nil {
			t.Fatal(err)
		}
	}
	if api.calls != 1 {
		t.Errorf("%d calls, want 1", api.calls)
	}
	for _, name := range []string{"a", "b"} {
		if _, err := tls.LoadX509KeyPair(filepath.Join(maker.Dir, name, "tls.crt"), filepath.Join(maker.Dir, name, "tls.key")); err != nil {
			t.Error(err)
		}
	}
	if info, err := os.Stat(filepath.Join(maker.Dir, "a", "tls.key")); err != nil || info.Mode().Perm() != 0o400 {
		t.Errorf("key: %v %v", info, err)
	}
	wanted[0].Purpose = "another"
	if err := maker.Ensure(t.Context(), wanted); err != nil || api.calls != 2 {
		t.Errorf("another purpose: %v, %d calls", err, api.calls)
	}
	key, err := os.ReadFile(filepath.Join(maker.Dir, "a", "tls.key"))
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.Stat(filepath.Join(maker.Dir, "a"))
	if err != nil {
		t.Fatal(err)
	}
	maker.Now = func() time.Time { return time.Now().Add(20 * time.Hour) } // of 24
	if err := maker.Ensure(t.Context(), wanted); err != nil || api.calls != 3 {
		t.Errorf("late in life: %v, %d calls", err, api.calls)
	}
	// What components have mounted is the directory, and no reader may meet a mixed pair.
	if again, err := os.Stat(filepath.Join(maker.Dir, "a")); err != nil || !os.SameFile(dir, again) {
		t.Errorf("the directory was replaced: %v", err)
	}
	if again, err := os.ReadFile(filepath.Join(maker.Dir, "a", "tls.key")); err != nil || string(again) != string(key) {
		t.Errorf("the key was replaced: %v", err)
	}
	if err := maker.Collect(map[string]bool{"b": true}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(maker.Dir, "a")); !os.IsNotExist(err) {
		t.Error("a dropped pair is still there")
	}
}

func TestAPurposeThatIsRefusedIsATerminalFault(t *testing.T) {
	maker, _, owner := newMaker(t)
	err := maker.Ensure(t.Context(), []plan.Certificate{{Name: "a", Purpose: "unknown", Owner: owner}})
	if !fault.IsTerminal(err) {
		t.Errorf("error %v", err)
	}
	if entries, _ := os.ReadDir(maker.Dir); len(entries) != 0 {
		t.Errorf("left over: %v", entries)
	}
}

func TestAReaderNeverMeetsAMixedPair(t *testing.T) {
	maker, _, owner := newMaker(t)
	wanted := []plan.Certificate{{Name: "a", Purpose: "server", Owner: owner}}
	if err := maker.Ensure(t.Context(), wanted); err != nil {
		t.Fatal(err)
	}
	stop, read := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		defer func() { read <- n }()
		for {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := tls.LoadX509KeyPair(filepath.Join(maker.Dir, "a", "tls.crt"), filepath.Join(maker.Dir, "a", "tls.key")); err != nil {
				t.Error(err)
				return
			}
			n++
		}
	}()
	seen := map[string]bool{}
	for range 20 {
		if err := maker.Renew(t.Context(), wanted); err != nil {
			t.Fatal(err)
		}
		seen[maker.Current("a")] = true
	}
	close(stop)
	if n := <-read; n == 0 || len(seen) != 20 {
		t.Errorf("%d reads of %d certificates", n, len(seen))
	}
}

func TestAStopBetweenAnyTwoStepsIsMadeGood(t *testing.T) {
	maker, api, owner := newMaker(t)
	wanted := []plan.Certificate{{Name: "a", Purpose: "server", Owner: owner, Restart: []string{"slipway-a.service"}}}
	var owed []journal.Owed
	maker.Owe = func(restarts []journal.Owed) error { owed = append(owed, restarts...); return nil }
	if err := maker.Ensure(t.Context(), wanted); err != nil || len(owed) != 0 {
		t.Fatalf("the first pair: %v, owed %v", err, owed)
	}
	file := func(name string) string { return filepath.Join(maker.Dir, "a", name) }
	for name, damage := range map[string]func() error{
		"the request is not there":    func() error { return os.Remove(file("request.json")) },
		"the certificate is not":      func() error { return os.Remove(file("tls.crt")) },
		"the key is not":              func() error { return os.Remove(file("tls.key")) },
		"the key is cut short":        func() error { return os.Truncate(file("tls.key"), 10) },
		"the certificate is cut off":  func() error { return os.Truncate(file("tls.crt"), 10) },
		"the whole directory is gone": func() error { return os.RemoveAll(filepath.Join(maker.Dir, "a")) },
	} {
		before := api.calls
		owed = nil
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		if next := maker.NextRenewal(wanted); next.After(time.Now()) {
			t.Errorf("%s: the next renewal is at %s", name, next)
		}
		if err := maker.Ensure(t.Context(), wanted); err != nil || api.calls != before+1 {
			t.Errorf("%s: %v, %d calls", name, err, api.calls-before)
		}
		want := 1 // somebody may run by what was there
		if name == "the whole directory is gone" {
			want = 0
		}
		if len(owed) != want {
			t.Errorf("%s: owed %v, want %d restarts", name, owed, want)
		}
		if _, err := tls.LoadX509KeyPair(file("tls.crt"), file("tls.key")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	owed = nil
	if err := maker.Renew(t.Context(), wanted); err != nil || len(owed) != 1 || owed[0].Fingerprint != maker.Current("a") || owed[0].Unit != "slipway-a.service" {
		t.Errorf("a renewal: %v, owed %v", err, owed)
	}
	// A key that cannot be read now is not one that is damaged.
	if err := os.Remove(file("tls.key")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(file("tls.key"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := maker.Ensure(t.Context(), wanted); err == nil || !strings.Contains(err.Error(), "tls.key") {
		t.Errorf("a key that cannot be read: %v", err)
	}
	if err := errors.Join(os.Remove(file("tls.key")), maker.Ensure(t.Context(), wanted)); err != nil {
		t.Fatal(err)
	}
	maker.Owe = func([]journal.Owed) error { return errors.New("the disk is full") }
	current := maker.Current("a")
	if err := maker.Renew(t.Context(), wanted); err == nil || maker.Current("a") != current {
		t.Errorf("without a journal of the restart the certificate was replaced: %v", err)
	}
}
