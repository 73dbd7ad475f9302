package compute

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/controlplane/cloud"
	"slipway.build/slipway/controlplane/cloud/local/launch"
	"slipway.build/slipway/controlplane/cloud/local/launch/nspawn"
	"slipway.build/slipway/controlplane/cloud/local/network/namespace"
	"slipway.build/slipway/controlplane/cloud/local/record"
	"slipway.build/slipway/imagebuild/basetree"
	"slipway.build/slipway/imagebuild/ignition"
)

// testPrefix begins the names of all that these tests make on the host.
const testPrefix = "sliptcm"

// plainPlug stands in for the network: it leaves the namespace with a loopback link only.
type plainPlug struct {
	mu      sync.Mutex
	plugged map[string]string
}

func (p *plainPlug) Plug(_ context.Context, port, name string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.plugged[port] = name
	return exec.Command("ip", "-n", name, "link", "set", "lo", "up").Run()
}

func (p *plainPlug) Unplug(_ context.Context, port string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.plugged, port)
	return nil
}

func (p *plainPlug) Endpoint(_ context.Context, port string) (Endpoint, error) {
	return Endpoint{Address: netip.MustParseAddr("10.0.0.5"), MAC: "fa:16:3e:00:00:05", DNS: []netip.Addr{netip.MustParseAddr("10.0.0.1")}}, nil
}

// real returns a Compute over real containers, and clears what a killed run has left.
func real(t testing.TB) *Compute {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("nodes need root")
	}
	cache := os.Getenv("SLIPWAY_CACHE")
	if cache == "" {
		cache = "/var/cache/slipway"
	}
	tree, err := basetree.Build(deadline(t), basetree.Options{Cache: cache})
	if err != nil {
		t.Fatal(err)
	}
	c, err := over(t.TempDir(), Image{Layers: []string{tree}, Init: basetree.Init})
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
	return c
}

// over returns a Compute with its files below dir and one image, node-os.
func over(dir string, image Image) (*Compute, error) {
	launcher, err := launch.Detect()
	if err != nil {
		return nil, err
	}
	store, err := record.Open(filepath.Join(dir, "objects"))
	if err != nil {
		return nil, err
	}
	return New(Config{
		Store: store, Dir: filepath.Join(dir, "compute"), Prefix: testPrefix, Launcher: launcher,
		Network: &plainPlug{plugged: map[string]string{}}, Ignition: ignition.Runner{},
		Image: func(_ context.Context, name string) (Image, error) {
			if name != "node-os" {
				return Image{}, fmt.Errorf("image %s: %w", name, cloud.ErrNotFound)
			}
			return image, nil
		},
	})
}

func deadline(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func request(t testing.TB, c *Compute, key, name string) cloud.Request {
	t.Helper()
	_, public, err := c.EnsureKeypair(deadline(t), "my_keypair")
	if err != nil {
		t.Fatal(err)
	}
	data, err := ignition.UserData(ignition.Node{
		Hostname: name, AuthorizedKeys: []string{public},
		Agent: protocol.AgentConfig{ControlPlane: "https://172.29.0.1:9512", CA: "pem", Node: "n", Token: "one-time"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return cloud.Request{Key: key, Name: "kube-master", Cluster: "c", Properties: map[string]any{
		"name": name, "image": "node-os", "flavor": "c1.c2r4", "port": "port-of-" + key, "user_data": string(data), "key_name": "my_keypair",
	}}
}

// inside runs a command in the server and returns its output.
func inside(t testing.TB, c *Compute, name string, command ...string) (string, error) {
	t.Helper()
	s, err := c.Find(deadline(t), name)
	if err != nil {
		t.Fatal(err)
	}
	if s.Init == 0 {
		t.Fatalf("server %s does not run", name)
	}
	args := append([]string{"-t", fmt.Sprint(s.Init), "-m", "-u", "-i", "-n", "-p", "-C", "--"}, command...)
	out, err := exec.CommandContext(deadline(t), "nsenter", args...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// awaitBoot returns when the system in the server is up, and fails when a unit of it failed.
func awaitBoot(t testing.TB, c *Compute, name string) {
	t.Helper()
	ctx := deadline(t)
	for {
		out, err := inside(t, c, name, "systemctl", "is-system-running")
		if err == nil {
			return
		}
		if out == "degraded" {
			failed, _ := inside(t, c, name, "systemctl", "--failed", "--no-legend")
			t.Fatalf("failed units in %s: %s", name, failed)
		}
		if ctx.Err() != nil {
			t.Fatalf("%s does not boot: %s", name, out)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestAServerBootsWithItsLimitsItsVolumeAndItsUserData(t *testing.T) {
	c := real(t)
	ctx := deadline(t)
	types := c.Types()
	volume, err := types["OS::Cinder::Volume"].Create(ctx, cloud.Request{Key: "v", Name: "etcd_volume", Properties: map[string]any{"size": 1, "name": "etcd"}})
	if err != nil {
		t.Fatal(err)
	}
	req := request(t, c, "s", "k8s-master-0")
	req.Properties["volumes"] = []any{map[string]any{"volume": volume.Physical, "path": "/var/lib/etcd"}}
	object, err := types["OS::Nova::Server"].Create(ctx, req)
	if err != nil {
		t.Fatal(err)
	}
	awaitBoot(t, c, "k8s-master-0")
	if got := fmt.Sprint(object.Attributes["addresses"]); !strings.Contains(got, "10.0.0.5") {
		t.Errorf("addresses = %s", got)
	}
	for name, tc := range map[string]struct {
		command string
		want    string
	}{
		"the host name is the user data's":       {"hostname", "k8s-master-0"},
		"the agent's configuration is private":   {"stat -c '%a %u' /etc/slipway/agent.yaml", "600 0"},
		"the token arrived":                      {"grep token /etc/slipway/agent.yaml", "token: one-time"},
		"the key of core was written":            {"grep -c ssh-ed25519 /home/core/.ssh/authorized_keys.d/ignition", "1"},
		"the machine id is the server's":         {"cat /etc/machine-id", strings.ReplaceAll(object.Physical, "-", "")},
		"the volume is a file system of its own": {"stat -f -c %T /var/lib/etcd; df --output=size -BM /var/lib/etcd | tail -1", "ext2/ext3\n  "},
		"resolvers are the port's":               {"cat /etc/resolv.conf", "nameserver 10.0.0.1"},
		"/var is no overlay":                     {"findmnt -n -o FSTYPE / ; findmnt -n -o FSTYPE -T /var/lib | grep -c overlay", "overlay\n0"},
		"cgroups are writable":                   {"d=/sys/fs/cgroup/memory; [ -d $d ] || d=/sys/fs/cgroup; mkdir $d/x && rmdir $d/x && echo yes", "yes"},
		"the network namespace is its own":       {"ls /sys/class/net | wc -l; ip -br link | wc -l", ""},
		"sysctl can be set":                      {"sysctl -w net.ipv4.ip_forward=1", "net.ipv4.ip_forward = 1"},
		"the kernel log is there for kubelet":    {"test -r /dev/kmsg && echo yes", "yes"},
		"bpf is mounted":                         {"stat -f -c %T /sys/fs/bpf", "bpf_fs"},
	} {
		out, err := inside(t, c, "k8s-master-0", "/bin/sh", "-c", tc.command)
		if !strings.HasPrefix(out, tc.want) || err != nil && tc.want != "" && !strings.HasSuffix(tc.want, "0") {
			t.Errorf("%s: %q, %v; want %q", name, out, err, tc.want)
		}
	}
	if out, err := inside(t, c, "k8s-master-0", "touch", "/usr/bin/x"); err == nil || !strings.Contains(out, "Read-only file system") {
		t.Errorf("writing to /usr: %q, %v", out, err)
	}
	s, _ := c.Find(ctx, "k8s-master-0")
	if got := kernelLimit(t, s.Init, "memory"); got != fmt.Sprint(4096<<20) {
		t.Errorf("memory limit in the kernel = %s", got)
	}
	if got := kernelLimit(t, s.Init, "cpu"); got != "200000" {
		t.Errorf("processor quota in the kernel = %s", got)
	}

	again, err := types["OS::Nova::Server"].Create(ctx, req)
	if err != nil || again.Physical != object.Physical {
		t.Fatalf("second create: %v, %v", again, err)
	}
	if now, _ := c.Find(ctx, "k8s-master-0"); now.Init != s.Init {
		t.Error("a second create started another system")
	}
	if err := types["OS::Cinder::Volume"].Delete(ctx, cloud.Request{Key: "v"}); err == nil {
		t.Error("an attached volume was deleted")
	}
	for range 2 {
		if err := types["OS::Nova::Server"].Delete(ctx, req); err != nil {
			t.Fatal(err)
		}
		if err := types["OS::Cinder::Volume"].Delete(ctx, cloud.Request{Key: "v"}); err != nil {
			t.Fatal(err)
		}
	}
	checkNothingLeft(t, c)
}

// kernelLimit reads the limit that the kernel holds for process 1 of a server, on v1 and v2. The limit
// may be on a group above the process's own.
func kernelLimit(t testing.TB, pid int, controller string) string {
	t.Helper()
	groups, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(groups)) {
		part := strings.SplitN(strings.TrimSpace(line), ":", 3)
		dir, file := "/sys/fs/cgroup", controller+".max"
		if part[1] == controller {
			dir, file = filepath.Join(dir, controller), map[string]string{"memory": "memory.limit_in_bytes", "cpu": "cpu.cfs_quota_us"}[controller]
		} else if part[0] != "0" {
			continue
		}
		for group := part[2]; group != "/" && group != "."; group = filepath.Dir(group) {
			if !strings.Contains(group, testPrefix) {
				continue
			}
			if value, err := os.ReadFile(filepath.Join(dir, group, file)); err == nil {
				if word := strings.Fields(string(value))[0]; word != "max" && word != "-1" && len(word) < 19 {
					return word
				}
			}
		}
	}
	return "none"
}

func TestAServerKeepsItsStateOverPowerCyclesAndItsUserDataIsAppliedOnce(t *testing.T) {
	c := real(t)
	ctx := deadline(t)
	server := c.Types()["OS::Nova::Server"]
	req := request(t, c, "p", "k8s-minion-0")
	if _, err := server.Create(ctx, req); err != nil {
		t.Fatal(err)
	}
	awaitBoot(t, c, "k8s-minion-0")
	if out, err := inside(t, c, "k8s-minion-0", "/bin/sh", "-c", "echo changed >/etc/slipway/agent.yaml; echo kept >/var/lib/kept; sync"); err != nil {
		t.Fatal(out)
	}
	for name, off := range map[string]func(context.Context, string) error{"stop": c.Stop, "kill": c.Kill} {
		if err := off(ctx, "k8s-minion-0"); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if s, err := c.Find(ctx, "k8s-minion-0"); err != nil || s.Running || s.On {
			t.Fatalf("after %s: %+v, %v", name, s, err)
		}
		if namespace.Exists(c.unitName(record.ID(kindServer, "p"))) {
			t.Errorf("after %s the network namespace is still there", name)
		}
		if _, err := server.Create(ctx, req); err != nil {
			t.Fatal(err)
		}
		if s, _ := c.Find(ctx, "k8s-minion-0"); s.Running {
			t.Errorf("create started a server that an operator powered off")
		}
		if err := c.Start(ctx, "k8s-minion-0"); err != nil {
			t.Fatal(err)
		}
		awaitBoot(t, c, "k8s-minion-0")
		if out, err := inside(t, c, "k8s-minion-0", "cat", "/etc/slipway/agent.yaml", "/var/lib/kept"); out != "changed\nkept" {
			t.Fatalf("after %s: %q, %v", name, out, err)
		}
	}
	before, _ := c.Find(ctx, "k8s-minion-0")
	out, asked := inside(t, c, "k8s-minion-0", "systemctl", "reboot") // which may end it, too
	for now := before; now.Init == before.Init || now.Init == 0; {
		if ctx.Err() != nil {
			t.Fatalf("the server does not come back from a reboot: %v: %s", asked, out)
		}
		time.Sleep(10 * time.Millisecond)
		now, _ = c.Find(ctx, "k8s-minion-0")
	}
	awaitBoot(t, c, "k8s-minion-0")
}

func TestSweepRemovesServersInWhateverState(t *testing.T) {
	c := real(t)
	ctx := deadline(t)
	server := c.Types()["OS::Nova::Server"]
	if _, err := server.Create(ctx, request(t, c, "running", "running")); err != nil {
		t.Fatal(err)
	}
	half := request(t, c, "half", "half")
	half.Properties["user_data"] = `{"ignition":{"version":"9.9.9"}}`
	if _, err := server.Create(ctx, half); err == nil {
		t.Fatal("Ignition accepted a version that does not exist")
	}
	if err := os.RemoveAll(c.Store.Dir()); err != nil { // no record of anything
		t.Fatal(err)
	}
	for range 2 {
		if err := c.Sweep(ctx); err != nil {
			t.Fatal(err)
		}
	}
	checkNothingLeft(t, c)
}

// checkNothingLeft looks for whatever has our name on the host.
func checkNothingLeft(t testing.TB, c *Compute) {
	t.Helper()
	ctx := deadline(t)
	if names, err := c.Launcher.List(ctx, c.unitPrefix()); err != nil || len(names) > 0 {
		t.Errorf("left cgroups or units: %v, %v", names, err)
	}
	if points, err := mountsBelow(c.Dir); err != nil || len(points) > 0 {
		t.Errorf("left mounts: %v, %v", points, err)
	}
	spaces, err := namespace.List()
	if err != nil {
		t.Error(err)
	}
	for _, s := range spaces {
		if strings.HasPrefix(s, c.unitPrefix()) {
			t.Errorf("left network namespace %s", s)
		}
	}
	procs, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, p := range procs {
		if line, err := os.ReadFile(p); err == nil && strings.Contains(string(line), c.unitPrefix()) {
			t.Errorf("left process %s: %q", p, line)
		}
	}
	if machines, err := nspawn.Machines(c.unitPrefix() + "*"); err != nil || len(machines) > 0 {
		t.Errorf("left by systemd-nspawn: %v, %v", machines, err)
	}
	for _, kind := range []string{"servers", "volumes"} {
		if entries, err := os.ReadDir(filepath.Join(c.Dir, kind)); err == nil && len(entries) > 0 {
			t.Errorf("left files: %v", entries)
		}
	}
	for _, kind := range []string{kindServer, kindVolume} {
		if entries, err := os.ReadDir(filepath.Join(c.Store.Dir(), kind)); err == nil && len(entries) > 0 {
			t.Errorf("left records: %v", entries)
		}
	}
}

func TestUserDataThatIgnitionRefusesLeavesNoServerBehindAndACorrectedOneBoots(t *testing.T) {
	c := real(t)
	ctx := deadline(t)
	server := c.Types()["OS::Nova::Server"]
	req := request(t, c, "bad", "bad")
	good := req.Properties["user_data"]
	var config map[string]any
	if err := json.Unmarshal([]byte(good.(string)), &config); err != nil {
		t.Fatal(err)
	}
	req.Properties["user_data"] = `{"ignition":{"version":"9.9.9"}}`
	_, err := server.Create(ctx, req)
	if err == nil || !strings.Contains(err.Error(), "user data") {
		t.Fatalf("error = %v", err)
	}
	if s, err := c.Find(ctx, "bad"); err != nil || s.Running {
		t.Fatalf("after a refusal: %+v, %v", s, err)
	}
	req.Properties["user_data"] = good
	if _, err := server.Create(ctx, req); err != nil {
		t.Fatal(err)
	}
	awaitBoot(t, c, "bad")
	if _, err := c.Find(ctx, "nobody"); !errors.Is(err, cloud.ErrNotFound) {
		t.Errorf("an unknown server: %v", err)
	}
}
