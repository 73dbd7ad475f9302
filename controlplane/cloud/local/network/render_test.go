package network

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"slipway.build/slipway/controlplane/cloud/local/network/namespace"
)

var update = flag.Bool("update", false, "write the golden files")

func id(n int) string { return fmt.Sprintf("%08x-0000-5000-8000-000000000000", n) }

// cluster is the topology of two masters and a worker with their pods behind a router.
func cluster() topology {
	pods := netip.MustParsePrefix("10.100.0.0/16")
	subnet := subnetRecord{meta: meta{ID: id(2)}, CIDR: netip.MustParsePrefix("10.0.0.0/24"), Gateway: netip.MustParseAddr("10.0.0.1")}
	port := func(n int, ip string, groups ...string) portRecord {
		return portRecord{meta: meta{ID: id(n)}, FixedIP: netip.MustParseAddr(ip), MAC: hardwareAddress(id(n)).String(), Groups: groups, Pairs: []netip.Prefix{pods}}
	}
	balancer := port(0x13, "10.0.0.5")
	balancer.Pairs, balancer.Open = nil, []int{6443}
	return topology{
		Net:     netRecord{meta{ID: id(1), Name: "k8s"}},
		Subnets: []subnetRecord{subnet},
		Router:  &routerRecord{meta: meta{ID: id(3)}, External: netip.MustParseAddr("172.29.0.2")},
		Ports:   []portRecord{port(0x10, "10.0.0.2", id(0x20)), port(0x11, "10.0.0.3", id(0x20)), port(0x12, "10.0.0.4", id(0x21)), balancer},
		Routes: []extraRouteRecord{
			{Destination: netip.MustParsePrefix("10.100.0.0/24"), Nexthop: netip.MustParseAddr("10.0.0.2")},
			{Destination: netip.MustParsePrefix("10.100.1.0/24"), Nexthop: netip.MustParseAddr("10.0.0.3")},
			{Destination: netip.MustParsePrefix("192.168.0.0/24"), Nexthop: netip.MustParseAddr("10.0.0.3")},
		},
		Groups: []securityGroupRecord{
			{meta: meta{ID: id(0x20)}, Rules: []rule{
				{Protocol: "tcp", Min: 2379, Max: 2380, RemoteGroup: self},
				{Protocol: "tcp", Min: 6443, Max: 6443, RemoteGroup: id(0x21)},
				{Protocol: "tcp", Min: 22, Max: 22, Prefix: netip.MustParsePrefix("172.29.0.0/16")},
				{Protocol: "any", RemoteGroup: id(0x99)},
				{Protocol: "icmp"},
			}},
			{meta: meta{ID: id(0x21)}, Rules: []rule{{Protocol: "any", RemoteGroup: self}, {Protocol: "udp"}, {Protocol: "any", Prefix: netip.MustParsePrefix("0.0.0.0/0")}}},
		},
		FloatingIPs: []floatingIPRecord{{Address: netip.MustParseAddr("172.29.0.3"), Port: id(0x13)}},
	}
}

func TestRulesetIsGolden(t *testing.T) {
	empty := topology{Net: netRecord{meta{ID: id(1)}}}
	inside := cluster()
	inside.Router, inside.FloatingIPs, inside.Routes = nil, nil, nil
	for name, c := range map[string]topology{"empty": empty, "cluster": cluster(), "no-router": inside} {
		t.Run(name, func(t *testing.T) {
			got := ruleset(c)
			path := filepath.Join("testdata", name+".nft")
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
				t.Error(d)
			}
		})
	}
}

func TestTheKernelTakesEveryGoldenRuleset(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("network namespaces need root")
	}
	const ns = "sliptnr-golden"
	t.Cleanup(func() { _ = namespace.Delete(ns) })
	if _, err := namespace.Ensure(ns); err != nil {
		t.Fatal(err)
	}
	n := &Network{Config: Config{NFT: "nft"}}
	files, err := filepath.Glob("testdata/*.nft")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		rules, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // it replaces itself, too
			if err := n.nft(t.Context(), ns, string(rules)); err != nil {
				t.Errorf("%s: %v", f, err)
			}
		}
	}
}

func TestSpansAreDisjointAndTheLongestPrefixWins(t *testing.T) {
	p := netip.MustParsePrefix
	for name, c := range map[string]struct {
		claims []claim
		want   string
	}{
		"nothing":                             {nil, ""},
		"an address":                          {[]claim{{p("10.0.0.1/32"), "a"}}, "10.0.0.1=a"},
		"neighbours of one port are one":      {[]claim{{p("10.0.0.0/25"), "a"}, {p("10.0.0.128/25"), "a"}}, "10.0.0.0-10.0.0.255=a"},
		"neighbours of two ports are two":     {[]claim{{p("10.0.0.0/25"), "a"}, {p("10.0.0.128/25"), "b"}}, "10.0.0.0-10.0.0.127=a 10.0.0.128-10.0.0.255=b"},
		"the same range of two is both's":     {[]claim{{p("10.0.0.0/24"), "b"}, {p("10.0.0.0/24"), "a"}}, "10.0.0.0-10.0.0.255=a,b"},
		"a longer prefix cuts a hole":         {[]claim{{p("10.0.0.0/24"), "a"}, {p("10.0.0.4/32"), "b"}}, "10.0.0.0-10.0.0.3=a 10.0.0.4=b 10.0.0.5-10.0.0.255=a"},
		"the same claim twice is one":         {[]claim{{p("10.0.0.1/32"), "a"}, {p("10.0.0.1/32"), "a"}}, "10.0.0.1=a"},
		"everything, up to the last address":  {[]claim{{p("0.0.0.0/0"), "a"}}, "0.0.0.0-255.255.255.255=a"},
		"a range that ends with everything":   {[]claim{{p("255.255.255.254/31"), "a"}}, "255.255.255.254-255.255.255.255=a"},
		"a hole at the end of a larger range": {[]claim{{p("10.0.0.0/30"), "a"}, {p("10.0.0.3/32"), "b"}}, "10.0.0.0-10.0.0.2=a 10.0.0.3=b"},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, s := range spans(c.claims) {
				got = append(got, s.String()+"="+strings.Join(s.ports, ","))
			}
			if d := cmp.Diff(c.want, strings.Join(got, " ")); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestNextFreeGoesRoundAndSkipsWhatIsUsed(t *testing.T) {
	a := netip.MustParseAddr
	cidr := netip.MustParsePrefix("10.0.0.0/29") // hosts .1 to .6
	for name, c := range map[string]struct {
		last string
		used []string
		want string
	}{
		"the first one":             {"", nil, "10.0.0.1"},
		"the one after the last":    {"10.0.0.3", nil, "10.0.0.4"},
		"round at the end":          {"10.0.0.6", []string{"10.0.0.1"}, "10.0.0.2"},
		"over several used ones":    {"10.0.0.1", []string{"10.0.0.2", "10.0.0.3"}, "10.0.0.4"},
		"a last of another range":   {"10.9.0.3", nil, "10.0.0.1"},
		"none when all are in use":  {"10.0.0.3", []string{"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"}, ""},
		"the last one that is left": {"10.0.0.3", []string{"10.0.0.1", "10.0.0.2", "10.0.0.4", "10.0.0.5", "10.0.0.6"}, "10.0.0.3"},
	} {
		t.Run(name, func(t *testing.T) {
			used := map[netip.Addr]bool{}
			for _, u := range c.used {
				used[a(u)] = true
			}
			last, _ := netip.ParseAddr(c.last)
			got, err := nextFree(cidr, last, used)
			if (err != nil) != (c.want == "") || err == nil && got != a(c.want) {
				t.Errorf("got %v, %v, want %q", got, err, c.want)
			}
		})
	}
}

func TestChainsThatDropWhatIsForwardedAreFound(t *testing.T) {
	list := `table ip filter {
	chain INPUT {
		type filter hook input priority filter; policy drop;
	}
	chain FORWARD {
		type filter hook forward priority filter; policy drop;
	}
}
table inet slip {
	chain forward {
		type filter hook forward priority filter; policy accept;
	}
}
`
	if d := cmp.Diff([]string{"ip filter FORWARD"}, droppingChains(list)); d != "" {
		t.Error(d)
	}
}
