package network_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"slipway.build/slipway/controlplane/cloud"
	"slipway.build/slipway/controlplane/cloud/local/network"
	"slipway.build/slipway/controlplane/cloud/local/network/namespace"
	"slipway.build/slipway/controlplane/cloud/local/record"
	"slipway.build/slipway/controlplane/fault"
)

const (
	prefix   = "sliptn"
	external = "172.31.250.0/24"
	host     = "172.31.250.1"
	gid      = 64799
	port     = 7000
)

// site is a local network of the test's own with the servers and resources on it.
type site struct {
	*network.Network
	t       testing.TB
	types   map[string]cloud.Type
	servers int
}

func newSite(t testing.TB) *site {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("networks need root")
	}
	n, err := network.New(network.Config{Store: openStore(t), Prefix: prefix, External: netip.MustParsePrefix(external), ControlGID: gid})
	if err != nil {
		t.Fatal(err)
	}
	s := &site{Network: n, t: t, types: n.Types()}
	s.clear()
	t.Cleanup(s.clear)
	if err := n.EnsureExternal(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func openStore(t testing.TB) *record.Store {
	t.Helper()
	store, err := record.Open(filepath.Join(t.TempDir(), "cloud"))
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func (s *site) clear() {
	if err := s.Sweep(context.Background()); err != nil {
		s.t.Error(err)
	}
	names, _ := namespace.List()
	for _, name := range names {
		if strings.HasPrefix(name, prefix+"-") {
			if err := namespace.Delete(name); err != nil {
				s.t.Error(err)
			}
		}
	}
}

// request makes a request with a new key.
func request(name string, properties map[string]any) cloud.Request {
	return cloud.Request{Key: uuid.NewString(), Cluster: "c", Stack: "k8s", Name: name, Properties: properties}
}

// resource is what create made.
type resource struct {
	kind string
	req  cloud.Request
	cloud.Object
}

func (r resource) attr(name string) string { return r.Attributes[name].(string) }

func (s *site) create(kind string, properties map[string]any) resource {
	s.t.Helper()
	req := request(kind, properties)
	o, err := s.types["OS::Neutron::"+kind].Create(s.t.Context(), req)
	if err != nil {
		s.t.Fatalf("create %s: %v", kind, err)
	}
	return resource{kind, req, o}
}

func (s *site) delete(r resource) {
	s.t.Helper()
	for range 2 { // of what is gone succeeds
		if err := s.types["OS::Neutron::"+r.kind].Delete(s.t.Context(), r.req); err != nil {
			s.t.Fatalf("delete %s: %v", r.kind, err)
		}
	}
}

// lan is a network with a subnet.
type lan struct{ net, subnet resource }

func (s *site) lan() lan {
	s.t.Helper()
	net := s.create("Net", map[string]any{"name": "k8s"})
	return lan{net, s.create("Subnet", map[string]any{"network": net.Physical, "cidr": "10.0.0.0/24", "dns_nameservers": []any{"8.8.8.8"}})}
}

func (s *site) router(l lan) (router, iface resource) {
	s.t.Helper()
	router = s.create("Router", map[string]any{"external_network": "public"})
	return router, s.create("RouterInterface", map[string]any{"router": router.Physical, "subnet": l.subnet.Physical})
}

func (s *site) group(rules ...any) resource {
	s.t.Helper()
	return s.create("SecurityGroup", map[string]any{"rules": rules})
}

// server is a namespace with a port plugged in, and something that listens in it.
type server struct {
	netns string
	port  resource
	ip    string
}

func (s *site) server(l lan, groups []any, pairs ...any) server {
	s.t.Helper()
	p := s.create("Port", map[string]any{
		"network": l.net.Physical, "subnet": l.subnet.Physical, "security_groups": groups, "allowed_address_pairs": pairs,
	})
	s.servers++
	v := server{fmt.Sprintf("%s-srv-%d", prefix, s.servers), p, p.attr("fixed_ip")}
	if _, err := namespace.Ensure(v.netns); err != nil {
		s.t.Fatal(err)
	}
	for range 2 {
		if err := s.Plug(s.t.Context(), p.Physical, v.netns); err != nil {
			s.t.Fatal(err)
		}
	}
	s.listen(v.netns, port)
	return v
}

// listen answers every connection with the address that it comes from.
func (s *site) listen(netns string, port int) {
	s.t.Helper()
	var l net.Listener
	err := in(netns, func() (err error) {
		l, err = net.Listen("tcp4", fmt.Sprintf(":%d", port))
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	var served sync.WaitGroup
	served.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
			_, _ = io.WriteString(c, host)
			c.Close()
		}
	})
	s.t.Cleanup(func() { l.Close(); served.Wait() })
}

func in(netns string, fn func() error) error {
	if netns == "" {
		return fn()
	}
	return namespace.Do(netns, fn)
}

// dial connects from a namespace and returns the address that the other side sees.
func dial(netns, source, target string, patience time.Duration) (string, error) {
	var seen string
	err := in(netns, func() error {
		d := net.Dialer{Timeout: patience}
		if source != "" {
			d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(source)}
		}
		c, err := d.Dial("tcp4", target)
		if err != nil {
			return err
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(patience))
		data, err := io.ReadAll(c)
		seen = string(data)
		return err
	})
	return seen, err
}

func at(ip string) string { return fmt.Sprintf("%s:%d", ip, port) }

// sees fails the test unless the connection succeeds and comes from that address.
func (s *site) sees(netns, source, ip, want string) {
	s.t.Helper()
	if got, err := dial(netns, source, at(ip), time.Minute); err != nil || got != want {
		s.t.Errorf("%s%s to %s: came from %q (%v), want %s", netns, source, ip, got, err, want)
	}
}

// blocked fails the test unless nothing answers.
func (s *site) blocked(netns, source, ip string) {
	s.t.Helper()
	if got, err := dial(netns, source, at(ip), 400*time.Millisecond); err == nil {
		s.t.Errorf("%s%s to %s: came through, from %q", netns, source, ip, got)
	}
}

func run(t testing.TB, netns string, args ...string) string {
	t.Helper()
	var out []byte
	err := in(netns, func() (err error) {
		out, err = exec.Command(args[0], args[1:]...).CombinedOutput()
		return err
	})
	if err != nil {
		t.Fatalf("%v: %v: %s", args, err, out)
	}
	return string(out)
}

var anyTCP = map[string]any{"protocol": "tcp", "port_range_min": 1, "port_range_max": 65535}

func TestTwoNetworksWithTheSameRangeDoNotSeeEachOther(t *testing.T) {
	s := newSite(t)
	open := s.group(anyTCP)
	a, b := s.lan(), s.lan()
	s.router(a)
	s.router(b)
	a1, a2 := s.server(a, []any{open.Physical}), s.server(a, []any{open.Physical})
	b1 := s.server(b, []any{open.Physical})
	if a1.ip != b1.ip {
		t.Fatalf("%s and %s: want the same first address in both networks", a1.ip, b1.ip)
	}
	s.sees(a1.netns, "", a2.ip, a1.ip)
	s.blocked(b1.netns, "", a2.ip)
	s.blocked("", "", a2.ip)
}

func TestSecurityGroupsLetInWhatTheySayAndNothingElse(t *testing.T) {
	s := newSite(t)
	l := s.lan()
	router, _ := s.router(l)
	workers := s.group(map[string]any{"protocol": "any", "remote_group": "self"})
	masters := s.group(
		map[string]any{"protocol": "tcp", "port_range_min": port, "remote_group": workers.Physical},
		map[string]any{"protocol": "tcp", "port_range_min": port + 1, "remote_ip_prefix": "10.0.0.0/24"})
	none := s.group()
	master := s.server(l, []any{masters.Physical}, map[string]any{"ip_address": "10.100.0.0/16"})
	worker := s.server(l, []any{workers.Physical}, "10.100.0.0/16")
	stranger := s.server(l, []any{none.Physical})

	s.sees(worker.netns, "", master.ip, worker.ip)
	s.blocked(stranger.netns, "", master.ip)
	s.blocked(master.netns, "", worker.ip)
	s.blocked(worker.netns, "", stranger.ip)

	t.Run("a port range of a rule is no other port", func(t *testing.T) {
		s.listen(master.netns, port+1)
		s.listen(master.netns, port+2)
		for p, want := range map[int]bool{port + 1: true, port + 2: false} {
			patience := 400 * time.Millisecond
			if want {
				patience = time.Minute
			}
			_, err := dial(stranger.netns, "", fmt.Sprintf("%s:%d", master.ip, p), patience)
			if (err == nil) != want {
				t.Errorf("port %d: %v", p, err)
			}
		}
	})

	t.Run("pods share their node's groups", func(t *testing.T) {
		for i, node := range []server{master, worker} {
			pods := fmt.Sprintf("10.100.%d.0/24", i)
			s.create("ExtraRoute", map[string]any{"router": router.Physical, "destination": pods, "nexthop": node.ip})
			run(t, node.netns, "ip", "addr", "add", fmt.Sprintf("10.100.%d.5/32", i), "dev", "lo")
		}
		s.sees(worker.netns, "10.100.1.5", master.ip, "10.100.1.5")
		s.sees(worker.netns, "10.100.1.5", "10.100.0.5", "10.100.1.5")
		s.sees(worker.netns, "", "10.100.0.5", worker.ip)
		s.blocked(master.netns, "10.100.0.5", "10.100.1.5")
		s.blocked(stranger.netns, "", "10.100.0.5")
	})

	t.Run("a new member of a group is let in, a former one is not", func(t *testing.T) {
		other := s.server(l, []any{workers.Physical})
		s.sees(other.netns, "", worker.ip, other.ip)
		s.delete(other.port)
		late := s.server(l, []any{none.Physical})
		s.blocked(late.netns, "", worker.ip)
		s.blocked(other.netns, "", worker.ip)
	})

	t.Run("changed rules are in force when create returns", func(t *testing.T) {
		s.blocked(worker.netns, "", stranger.ip)
		none.req.Properties = map[string]any{"rules": []any{anyTCP}}
		if _, err := s.types["OS::Neutron::SecurityGroup"].Create(t.Context(), none.req); err != nil {
			t.Fatal(err)
		}
		s.sees(worker.netns, "", stranger.ip, worker.ip)
	})
}

func TestNobodySendsFromAnAddressThatIsNotHis(t *testing.T) {
	s := newSite(t)
	l := s.lan()
	open := s.group(map[string]any{"protocol": "any"})
	target, sender := s.server(l, []any{open.Physical}), s.server(l, []any{open.Physical}, "10.100.1.0/24")
	other := s.server(l, []any{open.Physical})
	var inbox net.PacketConn
	if err := in(target.netns, func() (err error) { inbox, err = net.ListenPacket("udp4", ":9"); return err }); err != nil {
		t.Fatal(err)
	}
	defer inbox.Close()
	send := func(source, text string) {
		t.Helper()
		err := in(sender.netns, func() error {
			c, err := (&net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(source)}}).Dial("udp4", target.ip+":9")
			if err != nil {
				return err
			}
			defer c.Close()
			_, err = io.WriteString(c, text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, a := range []string{other.ip, "10.100.1.5", "10.100.2.5", "192.0.2.7"} {
		run(t, sender.netns, "ip", "addr", "add", a+"/32", "dev", "lo")
	}
	// Datagrams of one link arrive in order: what is received shows what was dropped before it.
	for _, d := range []struct{ source, text string }{
		{sender.ip, "own"}, {other.ip, "foreign"}, {"10.100.2.5", "foreign pod"}, {"192.0.2.7", "outside"}, {"10.100.1.5", "own pod"},
	} {
		send(d.source, d.text)
	}
	mac := sender.port.attr("mac_address")
	run(t, sender.netns, "ip", "link", "set", "host0", "address", "fa:16:3e:00:00:01")
	send(sender.ip, "foreign link address")
	run(t, sender.netns, "ip", "link", "set", "host0", "address", mac)
	send(sender.ip, "end")
	var got []string
	buf := make([]byte, 64)
	_ = inbox.SetReadDeadline(time.Now().Add(time.Minute))
	for len(got) == 0 || got[len(got)-1] != "end" {
		k, _, err := inbox.ReadFrom(buf)
		if err != nil {
			t.Fatalf("after %q: %v", got, err)
		}
		got = append(got, string(buf[:k]))
	}
	if want := "own,own pod,end"; strings.Join(got, ",") != want {
		t.Errorf("received %q, want %s", got, want)
	}
}

func TestWhatLeavesHasTheRoutersAddress(t *testing.T) {
	s := newSite(t)
	l := s.lan()
	router, iface := s.router(l)
	node := s.server(l, []any{s.group().Physical}, "10.100.0.0/16")
	run(t, node.netns, "ip", "addr", "add", "10.100.0.5/32", "dev", "lo")
	s.create("ExtraRoute", map[string]any{"router": router.Physical, "destination": "10.100.0.0/24", "nexthop": node.ip})
	outside := s.outside()
	s.sees(node.netns, "", outside, router.attr("external_ip"))
	s.sees(node.netns, "10.100.0.5", outside, router.attr("external_ip"))
	s.delete(iface)
	s.blocked(node.netns, "", outside)
}

// outside is a namespace on the external network, as another cluster's router would be.
func (s *site) outside() string {
	s.t.Helper()
	const netns, ip = prefix + "-out", "172.31.250.200"
	if _, err := namespace.Ensure(netns); err != nil {
		s.t.Fatal(err)
	}
	run(s.t, "", "ip", "link", "add", prefix+"00000000", "master", s.Bridge(), "up", "type", "veth", "peer", "name", "host0", "netns", netns)
	run(s.t, netns, "ip", "addr", "add", ip+"/24", "dev", "host0")
	run(s.t, netns, "ip", "link", "set", "host0", "up")
	run(s.t, netns, "ip", "link", "set", "lo", "up")
	s.listen(netns, port)
	return ip
}

func TestAFloatingIPStandsForItsPort(t *testing.T) {
	s := newSite(t)
	l := s.lan()
	router, _ := s.router(l)
	open := s.group(anyTCP)
	node, other := s.server(l, []any{open.Physical}), s.server(l, []any{open.Physical})
	closed := s.server(l, []any{s.group().Physical})
	outside := s.outside()
	fip := s.create("FloatingIP", map[string]any{"external_network": "public", "port": node.port.Physical})
	ip := fip.attr("floating_ip_address")

	s.sees("", "", ip, host)
	s.sees(prefix+"-out", "", ip, outside)
	s.sees(node.netns, "", outside, ip)
	s.sees(other.netns, "", ip, router.attr("external_ip"))
	s.sees(node.netns, "", ip, router.attr("external_ip"))

	t.Run("plugging again keeps it", func(t *testing.T) {
		if err := s.Unplug(t.Context(), node.port.Physical); err != nil {
			t.Fatal(err)
		}
		if err := s.Plug(t.Context(), node.port.Physical, node.netns); err != nil {
			t.Fatal(err)
		}
		s.sees("", "", ip, host)
		s.sees(node.netns, "", ip, router.attr("external_ip"))
	})
	t.Run("another cluster reaches it", func(t *testing.T) {
		b := s.lan()
		theirs, _ := s.router(b)
		s.sees(s.server(b, nil).netns, "", ip, theirs.attr("external_ip"))
	})
	t.Run("security groups hold for it", func(t *testing.T) {
		f := s.create("FloatingIP", map[string]any{"external_network": "public", "port": closed.port.Physical})
		s.blocked("", "", f.attr("floating_ip_address"))
	})
	t.Run("from outside nothing but floating IPs leads in", func(t *testing.T) {
		run(t, prefix+"-out", "ip", "route", "add", "10.0.0.0/24", "via", router.attr("external_ip"))
		s.blocked(prefix+"-out", "", node.ip)
	})
	s.delete(fip)
	s.blocked("", "", ip)
}

func TestTheControlPlanesGroupReachesTheHostsAddressOnly(t *testing.T) {
	if target := os.Getenv("NETWORK_TEST_DIAL"); target != "" {
		patience, err := time.ParseDuration(os.Getenv("NETWORK_TEST_PATIENCE"))
		if err == nil {
			_, err = dial("", "", target, patience)
		}
		fmt.Println("dialled:", err == nil)
		return
	}
	s := newSite(t)
	l := s.lan()
	s.router(l)
	node := s.server(l, []any{s.group(anyTCP).Physical})
	ip := s.create("FloatingIP", map[string]any{"external_network": "public", "port": node.port.Physical}).attr("floating_ip_address")
	s.listen("", port)
	for _, c := range []struct {
		ip   string
		gid  uint32
		want bool
	}{{ip, 0, true}, {ip, gid, false}, {host, gid, true}} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestTheControlPlanesGroupReachesTheHostsAddressOnly$")
		patience := "2s"
		if c.want {
			patience = "1m"
		}
		cmd.Env = append(os.Environ(), "NETWORK_TEST_DIAL="+at(c.ip), "NETWORK_TEST_PATIENCE="+patience)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Gid: c.gid}}
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), fmt.Sprintf("dialled: %v", c.want)) {
			t.Errorf("gid %d to %s: want %v, got %v %s", c.gid, c.ip, c.want, err, out)
		}
	}
}

func TestCreateIsIdempotent(t *testing.T) {
	s := newSite(t)
	l := s.lan()
	router, iface := s.router(l)
	g := s.group(anyTCP)
	p := s.create("Port", map[string]any{"network": l.net.Physical, "subnet": l.subnet.Physical, "security_groups": []any{g.Physical}})
	f := s.create("FloatingIP", map[string]any{"external_network": "public", "port": p.Physical})
	for _, r := range []resource{l.net, l.subnet, router, iface, g, p, f} {
		o, err := s.types["OS::Neutron::"+r.kind].Create(t.Context(), r.req)
		if err != nil || o.Physical != r.Physical || fmt.Sprint(o.Attributes) != fmt.Sprint(r.Attributes) {
			t.Errorf("%s: got %v, %v, want %v", r.kind, o, err, r.Object)
		}
	}
}

func TestWhatIsWrongInATemplateIsATerminalFault(t *testing.T) {
	s := newSite(t)
	l := s.lan()
	s.router(l)
	lone := s.create("Router", map[string]any{"external_network": "public"})
	for name, c := range map[string]struct {
		kind       string
		properties map[string]any
		says       string
	}{
		"a second router":           {"RouterInterface", map[string]any{"router": lone.Physical, "subnet": l.subnet.Physical}, "one router a network"},
		"an unknown network":        {"Subnet", map[string]any{"network": "x", "cidr": "10.0.0.0/24"}, "property network"},
		"a range that is none":      {"Subnet", map[string]any{"network": l.net.Physical, "cidr": "10.0.0.0"}, "cidr"},
		"a range with host bits":    {"Subnet", map[string]any{"network": l.net.Physical, "cidr": "10.0.1.1/24"}, "below its mask"},
		"an overlapping range":      {"Subnet", map[string]any{"network": l.net.Physical, "cidr": "10.0.0.0/16"}, "overlaps"},
		"the external range":        {"Subnet", map[string]any{"network": l.net.Physical, "cidr": external}, "external"},
		"a gateway elsewhere":       {"Subnet", map[string]any{"network": l.net.Physical, "cidr": "10.9.0.0/24", "gateway_ip": "10.0.0.1"}, "gateway_ip"},
		"an unknown security group": {"Port", map[string]any{"network": l.net.Physical, "subnet": l.subnet.Physical, "security_groups": []any{"x"}}, "security_groups"},
		"an unknown external net":   {"Router", map[string]any{"external_network": "x"}, "external network"},
		"a bad protocol":            {"SecurityGroup", map[string]any{"rules": []any{map[string]any{"protocol": "gre"}}}, "gre"},
		"ports of icmp":             {"SecurityGroup", map[string]any{"rules": []any{map[string]any{"protocol": "icmp", "port_range_min": 1}}}, "rule 0"},
		"an unknown property":       {"Net", map[string]any{"vlan": 1}, "vlan"},
		"a next hop elsewhere":      {"ExtraRoute", map[string]any{"router": lone.Physical, "destination": "10.0.0.1/8", "nexthop": "1.1.1.1"}, "destination"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.types["OS::Neutron::"+c.kind].Create(t.Context(), request("r", c.properties))
			if !fault.IsTerminal(err) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want a terminal fault with %q", err, c.says)
			}
		})
	}
}

func TestARangeThatTheHostRoutesElsewhereIsRefused(t *testing.T) {
	s := newSite(t)
	other, err := network.New(network.Config{Store: s.Store, Prefix: "sliptm", External: netip.MustParsePrefix("172.31.0.0/16")})
	if err != nil {
		t.Fatal(err)
	}
	if err := other.EnsureExternal(t.Context()); !fault.IsTerminal(err) || !strings.Contains(err.Error(), s.Bridge()) {
		t.Errorf("got %v, want a terminal fault that names %s", err, s.Bridge())
	}
}

func TestWhatIsInUseIsNotDeletedYet(t *testing.T) {
	s := newSite(t)
	l := s.lan()
	router, _ := s.router(l)
	g := s.group(anyTCP)
	s.create("Port", map[string]any{"network": l.net.Physical, "subnet": l.subnet.Physical, "security_groups": []any{g.Physical}})
	for _, r := range []resource{l.net, l.subnet, router, g} {
		if err := s.types["OS::Neutron::"+r.kind].Delete(t.Context(), r.req); fault.KindOf(err) != fault.Retriable {
			t.Errorf("%s: got %v, want a retriable fault", r.kind, err)
		}
	}
}

func TestDeletingEverythingAndSweepingLeaveNothing(t *testing.T) {
	s := newSite(t)
	build := func() []resource {
		l := s.lan()
		router, iface := s.router(l)
		g := s.group(anyTCP)
		node := s.server(l, []any{g.Physical})
		f := s.create("FloatingIP", map[string]any{"external_network": "public", "port": node.port.Physical})
		return []resource{f, node.port, g, iface, router, l.subnet, l.net}
	}
	for _, r := range build() {
		s.delete(r)
	}
	s.nothingLeft(prefix+"-net-", prefix+"0", prefix+"1")
	for _, kind := range []string{"net", "subnet", "router", "router-interface", "security-group", "port", "floating-ip"} {
		if left, _ := filepath.Glob(filepath.Join(s.Store.Dir(), kind, "*")); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	}
	build()
	if err := os.RemoveAll(filepath.Join(s.Store.Dir(), "net")); err != nil { // records are lost
		t.Fatal(err)
	}
	before, err := os.ReadFile("/proc/sys/net/ipv4/ip_forward")
	if err != nil || strings.TrimSpace(string(before)) != "1" {
		t.Errorf("forwarding is %q (%v), want 1", before, err)
	}
	if err := s.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.nothingLeft(prefix+"-net-", prefix+"-ext", prefix)
}

// nothingLeft looks for namespaces, links and tables whose names begin so. What was in a namespace
// ends some time after its name.
func (s *site) nothingLeft(prefixes ...string) {
	s.t.Helper()
	var left []string
	for range 500 {
		if left = s.left(prefixes); len(left) == 0 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	s.t.Errorf("left: %v", left)
}

func (s *site) left(prefixes []string) (left []string) {
	s.t.Helper()
	names, err := namespace.List()
	if err != nil {
		s.t.Fatal(err)
	}
	links, err := net.Interfaces()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, l := range links {
		names = append(names, l.Name)
	}
	for _, table := range strings.Split(run(s.t, "", "nft", "list", "tables"), "\n") {
		names = append(names, strings.TrimPrefix(table, "table inet "))
	}
	for _, name := range names {
		for _, p := range prefixes {
			if strings.HasPrefix(name, p) && !strings.HasPrefix(name, prefix+"-srv-") && !(p == prefix+"-net-" && name == prefix) {
				if p == prefix && name == prefix+"-out" {
					continue
				}
				left = append(left, name)
			}
		}
	}
	return left
}

func TestRestoreMakesALostNamespaceAgain(t *testing.T) {
	s := newSite(t)
	l := s.lan()
	s.router(l)
	node := s.server(l, []any{s.group(anyTCP).Physical})
	ip := s.create("FloatingIP", map[string]any{"external_network": "public", "port": node.port.Physical}).attr("floating_ip_address")
	s.sees("", "", ip, host)
	names, _ := namespace.List()
	for _, name := range names {
		if strings.HasPrefix(name, prefix+"-net-") {
			run(t, "", "ip", "netns", "del", name)
		}
	}
	run(t, "", "ip", "link", "del", s.Bridge())
	run(t, "", "nft", "delete", "table", "inet", prefix)
	s.blocked("", "", ip)
	if err := s.Restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Plug(t.Context(), node.port.Physical, node.netns); err != nil {
		t.Fatal(err)
	}
	s.sees("", "", ip, host)
}

func TestManyPortsAtTheSameTimeHaveAddressesOfTheirOwn(t *testing.T) {
	s := newSite(t)
	l := s.lan()
	g := s.group(anyTCP)
	var mu sync.Mutex
	seen := map[string]bool{}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			o, err := s.types["OS::Neutron::Port"].Create(t.Context(), request("p", map[string]any{
				"network": l.net.Physical, "subnet": l.subnet.Physical, "security_groups": []any{g.Physical},
			}))
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			seen[o.Attributes["fixed_ip"].(string)] = true
		})
	}
	wg.Wait()
	if len(seen) != 20 {
		t.Errorf("%d addresses for 20 ports: %v", len(seen), seen)
	}
}

func TestForwardingIsTurnedOffByTheLastWhoNeededIt(t *testing.T) {
	s := newSite(t)
	other, err := network.New(network.Config{Store: openStore(t), Prefix: "sliptm", External: netip.MustParsePrefix("172.31.252.0/24")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := other.Sweep(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if err := other.EnsureExternal(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Other tests and products on this host may need it, too: what they know about it is the same.
	if a, b := alias(t, s.Bridge()), alias(t, other.Bridge()); a != b {
		t.Errorf("the first remembers %q, the second %q", a, b)
	}
	if err := s.RemoveExternal(t.Context()); err != nil {
		t.Fatal(err)
	}
	if on := run(t, "", "cat", "/proc/sys/net/ipv4/ip_forward"); strings.TrimSpace(on) != "1" {
		t.Error("forwarding went with the first, though the second needs it")
	}
}

func alias(t *testing.T, link string) string {
	t.Helper()
	data, err := os.ReadFile("/sys/class/net/" + link + "/ifalias")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
