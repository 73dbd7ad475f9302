package loadbalancer

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

func m(n int) meta { return meta{ID: fmt.Sprintf("%08x-0000-5000-8000-000000000000", n)} }

// api is the balancer of a cluster's API with two masters, and a plain listener beside it.
func api() setup {
	return setup{
		Balancer:  balancerRecord{meta: m(1), Address: netip.MustParseAddr("10.0.0.5")},
		Listeners: []listenerRecord{{meta: m(2), Protocol: "TCP", Port: 6443}, {meta: m(3), Protocol: "TCP", Port: 80}},
		Pools: []poolRecord{
			{meta: m(4), Listener: m(2).ID, Algorithm: "ROUND_ROBIN", CA: "-----BEGIN CERTIFICATE-----\n"},
			{meta: m(5), Listener: m(3).ID, Algorithm: "SOURCE_IP"},
		},
		Monitors: []monitorRecord{{meta: m(6), Pool: m(4).ID, Type: "HTTPS", Path: "/readyz", Domain: "kubernetes", Delay: 500 * time.Millisecond, Timeout: time.Second, Retries: 2}},
		Members: []memberRecord{
			{meta: m(7), Pool: m(4).ID, Address: netip.MustParseAddr("10.0.0.2"), Port: 6443},
			{meta: m(8), Pool: m(4).ID, Address: netip.MustParseAddr("10.0.0.3"), Port: 6443},
			{meta: m(9), Pool: m(5).ID, Address: netip.MustParseAddr("10.0.0.4"), Port: 8080},
		},
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s: %s", name, d)
	}
}

func TestConfigurationIsGolden(t *testing.T) {
	tcp := api()
	tcp.Monitors[0].Type, tcp.Monitors[0].Delay = "TCP", 50*time.Millisecond
	empty := api()
	empty.Listeners, empty.Pools, empty.Monitors, empty.Members = nil, nil, nil, nil
	for name, s := range map[string]setup{"api": api(), "tcp": tcp, "empty": empty} {
		golden(t, name+".cfg", render(s).Text)
	}
	golden(t, "api.servers", serverStates(api(), map[string]bool{"member_00000008": true}))
}

func TestEveryChangeIsARevisionOfItsOwn(t *testing.T) {
	ca, member, none := api(), api(), api()
	ca.Pools[0].CA = "other"
	member.Members = member.Members[:2]
	seen := map[string]bool{}
	for _, s := range []setup{api(), ca, member, none} {
		seen[render(s).Revision] = true
	}
	if len(seen) != 3 {
		t.Errorf("%d revisions, want 3: %v", len(seen), seen)
	}
}

func TestServersThatWereCheckedAndUpAreRecognized(t *testing.T) {
	answer := serverStates(api(), map[string]bool{"member_00000008": true}) +
		"5 pool_00000005 9 member_00000009 10.0.0.4 2 0 1 1 20 1 0 1 0 0 0 0 - 8080 - 0 0 - - 0\n# x\nbroken\n"
	if d := cmp.Diff(map[string]bool{"member_00000008": true}, parseUp(answer)); d != "" {
		t.Error(d)
	}
}
