package certificates_test

import (
	"context"
	"crypto/tls"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"testing"
	"time"

	"slipway.build/slipway/agent/certificates"
	"slipway.build/slipway/agent/fault"
	"slipway.build/slipway/agent/join"
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
	maker.Now = func() time.Time { return time.Now().Add(20 * time.Hour) } // of 24
	if err := maker.Ensure(t.Context(), wanted); err != nil || api.calls != 3 {
		t.Errorf("late in life: %v, %d calls", err, api.calls)
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
