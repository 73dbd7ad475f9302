package loadbalancer_test

import (
	"bufio"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"slipway.build/slipway/controlplane/cloud"
	"slipway.build/slipway/controlplane/cloud/local/launch"
	"slipway.build/slipway/controlplane/cloud/local/loadbalancer"
	"slipway.build/slipway/controlplane/cloud/local/network"
	"slipway.build/slipway/controlplane/cloud/local/network/namespace"
	"slipway.build/slipway/controlplane/cloud/local/record"
)

// step is one resource of a stack; properties may refer to earlier ones by "@name" or
// "@name.attribute".
type step struct {
	name, kind string
	properties map[string]any
}

var steps = []step{
	{"net", "Neutron::Net", nil},
	{"subnet", "Neutron::Subnet", map[string]any{"network": "@net", "cidr": "10.0.0.0/24"}},
	{"router", "Neutron::Router", map[string]any{"external_network": "public"}},
	{"interface", "Neutron::RouterInterface", map[string]any{"router": "@router", "subnet": "@subnet"}},
	{"group", "Neutron::SecurityGroup", map[string]any{"rules": []any{map[string]any{"protocol": "tcp"}}}},
	{"port", "Neutron::Port", map[string]any{"network": "@net", "subnet": "@subnet"}},
	{"route", "Neutron::ExtraRoute", map[string]any{"router": "@router", "destination": "10.100.0.0/24", "nexthop": "@port.fixed_ip"}},
	{"balancer", "Octavia::LoadBalancer", map[string]any{"subnet": "@subnet"}},
	{"listener", "Octavia::Listener", map[string]any{"loadbalancer": "@balancer", "protocol_port": 6443}},
	{"pool", "Octavia::Pool", map[string]any{"listener": "@listener"}},
	{"monitor", "Octavia::HealthMonitor", map[string]any{"pool": "@pool", "type": "TCP", "delay_ms": 100, "timeout_ms": 100}},
	{"member", "Octavia::PoolMember", map[string]any{"pool": "@pool", "address": "@port.fixed_ip", "protocol_port": 6443}},
	{"floating", "Neutron::FloatingIP", map[string]any{"external_network": "public", "port": "@balancer.vip_port"}},
}

func (s step) request() cloud.Request {
	return cloud.Request{Key: uuid.NewSHA1(uuid.NameSpaceOID, []byte(s.name)).String(), Cluster: "c", Stack: "k8s", Name: s.name}
}

// createAll creates the steps in order, telling after each.
func createAll(ctx context.Context, types map[string]cloud.Type, tell func(string)) (map[string]cloud.Object, error) {
	made := map[string]cloud.Object{}
	for _, s := range steps {
		req := s.request()
		req.Properties = map[string]any{}
		for name, v := range s.properties {
			if ref, ok := v.(string); ok && strings.HasPrefix(ref, "@") {
				of, attr, _ := strings.Cut(ref[1:], ".")
				if v = made[of].Physical; attr != "" {
					v = made[of].Attributes[attr]
				}
			}
			req.Properties[name] = v
		}
		o, err := types["OS::"+s.kind].Create(ctx, req)
		if err != nil {
			return nil, fmt.Errorf("create %s: %w", s.name, err)
		}
		made[s.name] = o
		tell(s.name)
	}
	return made, nil
}

func deleteAll(ctx context.Context, types map[string]cloud.Type, tell func(string)) error {
	for i := len(steps) - 1; i >= 0; i-- {
		if err := types["OS::"+steps[i].kind].Delete(ctx, steps[i].request()); err != nil {
			return fmt.Errorf("delete %s: %w", steps[i].name, err)
		}
		tell(steps[i].name)
	}
	return nil
}

// typesOf opens the local cloud in that directory.
func typesOf(dir string) (map[string]cloud.Type, error) {
	store, err := record.Open(dir)
	if err != nil {
		return nil, err
	}
	n, err := network.New(network.Config{Store: store, Prefix: prefix, External: netip.MustParsePrefix("172.31.251.0/24")})
	if err != nil {
		return nil, err
	}
	launcher, err := launch.Detect()
	if err != nil {
		return nil, err
	}
	b, err := loadbalancer.New(loadbalancer.Config{Store: store, Network: n, Launcher: launcher})
	if err != nil {
		return nil, err
	}
	types := n.Types()
	for name, t := range b.Types() {
		types[name] = t
	}
	return types, nil
}

func TestKilledAtAnyMomentTheNextCallFinishesTheWork(t *testing.T) {
	if dir := os.Getenv("BALANCER_TEST_DIR"); dir != "" {
		child(dir, os.Getenv("BALANCER_TEST_DO"))
		return
	}
	s := emptySite(t)
	types, err := typesOf(s.Store.Dir())
	if err != nil {
		t.Fatal(err)
	}
	var first map[string]cloud.Object
	// A child is killed a little after each step, while it is on the next one, and another goes on.
	for i, after := range steps[:len(steps)-1] {
		killed(t, s.Store.Dir(), "create", after.name, time.Duration(i%4)*4*time.Millisecond)
		made, err := createAll(t.Context(), types, func(string) {})
		if err != nil {
			t.Fatalf("killed after %s: %v", after.name, err)
		}
		if first == nil {
			first = made
		}
		names, err := s.launcher.List(t.Context(), prefix+"-lb-")
		if err != nil || len(names) != 1 {
			t.Fatalf("killed after %s: balancers %v, %v", after.name, names, err)
		}
		killed(t, s.Store.Dir(), "delete", steps[len(steps)-1-i].name, time.Duration(i%4)*4*time.Millisecond)
		if err := deleteAll(t.Context(), types, func(string) {}); err != nil {
			t.Fatalf("killed in deletion: %v", err)
		}
		s.nothingLeft(stack{lb: resource{Object: first["balancer"]}})
		for _, kind := range []string{"net", "subnet", "router", "port", "floating-ip", "listener", "pool", "pool-member"} {
			if left, _ := filepath.Glob(filepath.Join(s.Store.Dir(), kind, "*.json")); len(left) > 0 {
				t.Fatalf("killed after %s: left %v", after.name, left)
			}
		}
		names, _ = namespace.List()
		for _, name := range names {
			if strings.HasPrefix(name, prefix+"-") {
				t.Errorf("killed after %s: left namespace %s", after.name, name)
			}
		}
	}
}

// killed runs a child that creates or deletes everything, and kills it some time after that step.
func killed(t *testing.T, dir, do, after string, delay time.Duration) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledAtAnyMomentTheNextCallFinishesTheWork$")
	cmd.Env = append(os.Environ(), "BALANCER_TEST_DIR="+dir, "BALANCER_TEST_DO="+do)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if lines.Text() == "done "+after {
			break
		}
		if strings.HasPrefix(lines.Text(), "failed") {
			t.Errorf("child: %s", lines.Text())
			break
		}
	}
	time.Sleep(delay) // the moment of the kill is arbitrary on purpose
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

func child(dir, do string) {
	types, err := typesOf(dir)
	if err == nil {
		tell := func(name string) { fmt.Println("done", name) }
		if do == "delete" {
			err = deleteAll(context.Background(), types, tell)
		} else {
			_, err = createAll(context.Background(), types, tell)
		}
	}
	if err != nil {
		fmt.Println("failed:", err)
	}
}
