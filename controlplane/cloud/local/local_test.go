package local

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/controlplane/cloud"
	"slipway.build/slipway/controlplane/cloud/local/compute"
	"slipway.build/slipway/controlplane/cloud/local/network/namespace"
	"slipway.build/slipway/controlplane/cloud/local/record"
	"slipway.build/slipway/imagebuild/basetree"
	"slipway.build/slipway/imagebuild/ignition"
)

// open returns a cloud of the test's own, beside whatever else runs on this machine.
func open(t testing.TB) *Cloud {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("the local cloud needs root")
	}
	cache := os.Getenv("SLIPWAY_CACHE")
	if cache == "" {
		cache = "/var/cache/slipway"
	}
	ctx := deadline(t)
	tree, err := basetree.Build(ctx, basetree.Options{Cache: cache})
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(Config{State: t.TempDir(), Prefix: "sliptlc", External: netip.MustParsePrefix("172.27.96.0/20")})
	if err != nil {
		t.Fatal(err)
	}
	sweep := func() {
		if err := c.Sweep(deadline(t)); err != nil {
			t.Error(err)
		}
	}
	sweep()
	t.Cleanup(sweep)
	if err := c.Network.EnsureExternal(ctx); err != nil {
		t.Fatal(err)
	}
	if err := c.RegisterImage(ctx, "slipway-node", compute.Image{Layers: []string{tree}, Init: basetree.Init}); err != nil {
		t.Fatal(err)
	}
	return c
}

func deadline(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// create makes a resource and returns its id and one of its attributes.
func create(t testing.TB, c *Cloud, kind, key, attribute string, properties map[string]any) (id, value string) {
	t.Helper()
	typ, ok := c.Type(kind)
	if !ok {
		t.Fatalf("no type %s", kind)
	}
	o, err := typ.Create(deadline(t), cloud.Request{Key: key, Name: key, Cluster: "c", Properties: properties})
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	return o.Physical, fmt.Sprint(o.Attributes[attribute])
}

func TestTwoServersOfOneNetworkReachEachOtherAndTheHostAndSurviveRestore(t *testing.T) {
	c := open(t)
	ctx := deadline(t)
	network, _ := create(t, c, "OS::Neutron::Net", "net", "", map[string]any{"name": "n"})
	subnet, _ := create(t, c, "OS::Neutron::Subnet", "subnet", "", map[string]any{"network": network, "cidr": "10.0.0.0/24", "dns_nameservers": []any{"192.0.2.53"}})
	router, _ := create(t, c, "OS::Neutron::Router", "router", "", map[string]any{"external_network": "public"})
	create(t, c, "OS::Neutron::RouterInterface", "interface", "", map[string]any{"router": router, "subnet": subnet})
	group, _ := create(t, c, "OS::Neutron::SecurityGroup", "group", "", map[string]any{"name": "g", "rules": []any{map[string]any{"protocol": "tcp", "port_range_min": 9, "port_range_max": 9}}})
	var addresses []string
	for _, n := range []string{"a", "b"} {
		port, address := create(t, c, "OS::Neutron::Port", "port-"+n, "fixed_ip", map[string]any{"network": network, "subnet": subnet, "security_groups": []any{group}})
		data, err := ignition.UserData(ignition.Node{Hostname: "node-" + n, Agent: protocol.AgentConfig{ControlPlane: "x", CA: "x", Node: "x", Token: "x"}})
		if err != nil {
			t.Fatal(err)
		}
		create(t, c, "OS::Nova::Server", "server-"+n, "", map[string]any{
			"name": "node-" + n, "image": "slipway-node", "flavor": "c1.c2r4", "port": port, "user_data": string(data)})
		addresses = append(addresses, address)
	}
	reach := func(when string) {
		t.Helper()
		for _, to := range []string{addresses[1], c.Network.HostAddress().String()} {
			// Nobody listens there: the refusal is the other side's answer.
			if err := dialFrom(t, c, "node-a", to+":9"); !errors.Is(err, unix.ECONNREFUSED) {
				t.Errorf("%s: %s from node-a: %v", when, to, err)
			}
		}
		if out := readIn(t, c, "node-a", "/etc/resolv.conf"); out != "nameserver 192.0.2.53" {
			t.Errorf("%s: resolvers: %q", when, out)
		}
	}
	reach("after creation")
	if err := c.Compute.Kill(ctx, "node-b"); err != nil {
		t.Fatal(err)
	}
	if err := c.Compute.Start(ctx, "node-b"); err != nil {
		t.Fatal(err)
	}
	reach("after a power cycle")
	// As after a reboot of the machine: nothing runs, no namespace is there, the records are.
	for _, n := range []string{"node-a", "node-b"} {
		s, err := c.Compute.Find(ctx, n)
		if err != nil {
			t.Fatal(err)
		}
		if err := exec.Command("kill", "-9", fmt.Sprint(s.Init)).Run(); err != nil {
			t.Fatal(err)
		}
		for s.Running {
			if s, err = c.Compute.Find(ctx, n); err != nil || ctx.Err() != nil {
				t.Fatal(n, err)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	if err := c.Restore(ctx); err != nil {
		t.Fatal(err)
	}
	reach("after a restore")
}

// dialFrom connects from the network of a server.
func dialFrom(t testing.TB, c *Cloud, name, address string) error {
	t.Helper()
	s := running(t, c, name)
	return namespace.Do("sliptlc-srv-"+record.Short(s.ID), func() error {
		conn, err := net.DialTimeout("tcp4", address, 10*time.Second)
		if err == nil {
			conn.Close()
		}
		return err
	})
}

// readIn reads a file as a server sees it.
func readIn(t testing.TB, c *Cloud, name, path string) string {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/root%s", running(t, c, name).Init, path))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(data))
}

func running(t testing.TB, c *Cloud, name string) compute.Server {
	t.Helper()
	s, err := c.Compute.Find(deadline(t), name)
	if err != nil || s.Init == 0 {
		t.Fatalf("%s: %+v, %v", name, s, err)
	}
	return s
}

func TestUnknownNamesAreRefusedBeforeAnythingIsMade(t *testing.T) {
	c := open(t)
	ctx := deadline(t)
	if _, err := c.Keypair(ctx, "p", "nobody"); !errors.Is(err, cloud.ErrNotFound) {
		t.Errorf("keypair: %v", err)
	}
	if _, err := c.Flavor(ctx, "nothing"); !errors.Is(err, cloud.ErrNotFound) {
		t.Errorf("flavor: %v", err)
	}
	if _, ok := c.Type("OS::Nova::Nothing"); ok {
		t.Error("a type that does not exist")
	}
	if err := c.RegisterImage(ctx, "x", compute.Image{Layers: []string{filepath.Join(t.TempDir(), "none")}, Init: "/init"}); err == nil {
		t.Error("an image without its layer was registered")
	}
}

func TestResolversThatOnlyThisMachineCanReachAreLeftOut(t *testing.T) {
	got := resolvers(strings.NewReader("# x\nsearch a\nnameserver 127.0.0.53\nnameserver 192.0.2.1\nnameserver ::1\nnameserver\nnameserver bad\nnameserver 192.0.2.2 # y\n"))
	want := []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}
