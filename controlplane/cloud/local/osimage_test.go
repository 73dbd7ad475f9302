package local

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/controlplane/cloud/local/compute"
	"slipway.build/slipway/imagebuild/basetree"
	"slipway.build/slipway/imagebuild/ignition"
	"slipway.build/slipway/imagebuild/lock"
	"slipway.build/slipway/imagebuild/osimage"
	"slipway.build/slipway/imagebuild/sign"
)

const unresolvedLock = `schema: slipway.build/images/v2
number: 1
issued: "2026-11-21T17:00:00Z"
expires: "2031-11-20T17:00:00Z"
toolchain: go1.26.7
images:
  - name: pause
    version: v1.0.0
    repository: slipway/pause
    source:
      reference: example
    unresolved: only a name in a test
`

// osLayer builds the real programs into a layer.
func osLayer(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	contents := osimage.Contents{Agent: filepath.Join(dir, "slipway-agent"), ImportTool: filepath.Join(dir, "slipway-import"), Exec: filepath.Join(dir, "slipway-exec"),
		Verifier: filepath.Join(dir, "slipway-image-verifier")}
	for _, program := range []string{contents.Agent, contents.ImportTool, contents.Exec, contents.Verifier} {
		build := exec.CommandContext(deadline(t), "go", "build", "-trimpath", "-o", program, "slipway.build/slipway/cmd/"+filepath.Base(program))
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	key, err := sign.LocalKey(filepath.Join(dir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	if contents.TrustKeys, err = key.PublicPEM(); err != nil {
		t.Fatal(err)
	}
	images, err := lock.Parse("images.yaml", []byte(unresolvedLock))
	if err != nil {
		t.Fatal(err)
	}
	if contents.Lock, err = images.YAML(""); err != nil {
		t.Fatal(err)
	}
	if contents.LockSignature, err = key.Sign(contents.Lock); err != nil {
		t.Fatal(err)
	}
	layer, err := osimage.New(contents)
	if err != nil {
		t.Fatal(err)
	}
	path, err := layer.ExtractTo(filepath.Join(dir, "os"))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTheOSLayerBringsAgentUsersAndSettingsToANode(t *testing.T) {
	c := open(t)
	ctx := deadline(t)
	cache := os.Getenv("SLIPWAY_CACHE")
	if cache == "" {
		cache = "/var/cache/slipway"
	}
	layers := []string{osLayer(t), basetree.Path(cache)}
	if err := c.RegisterImage(ctx, "slipway-node", compute.Image{Layers: layers, Init: basetree.Init}); err != nil {
		t.Fatal(err)
	}
	network, _ := create(t, c, "OS::Neutron::Net", "net", "", map[string]any{"name": "n"})
	subnet, _ := create(t, c, "OS::Neutron::Subnet", "subnet", "", map[string]any{"network": network, "cidr": "10.0.0.0/24"})
	port, _ := create(t, c, "OS::Neutron::Port", "port", "", map[string]any{"network": network, "subnet": subnet})
	volume, _ := create(t, c, "OS::Cinder::Volume", "volume", "", map[string]any{"size": 1})
	data, err := ignition.UserData(ignition.Node{Hostname: "node", Agent: protocol.AgentConfig{
		ControlPlane: "https://" + c.Network.HostAddress().String() + ":9", CA: "none", Node: "7c5f2f0e-4b1f-4c53-8a43-c1f6dd6c1d40", Token: "t",
	}})
	if err != nil {
		t.Fatal(err)
	}
	create(t, c, "OS::Nova::Server", "server", "", map[string]any{
		"name": "node", "image": "slipway-node", "flavor": "c1.c2r4", "port": port, "user_data": string(data),
		"volumes": []any{map[string]any{"volume": volume, "path": "/var/lib/etcd"}}})
	in := func(script string) string {
		t.Helper()
		out, _ := exec.CommandContext(ctx, "nsenter", "-t", fmt.Sprint(running(t, c, "node").Init), "-m", "-u", "-i", "-n", "-p", "-C", "--", "/bin/sh", "-c", script).CombinedOutput()
		return strings.TrimSpace(string(out))
	}
	for in("systemctl show -P ActiveState basic.target") != "active" {
		if ctx.Err() != nil {
			t.Fatal("the node does not boot")
		}
		time.Sleep(10 * time.Millisecond)
	}
	for name, tc := range map[string]struct{ script, want string }{
		"the users of components":          {"getent passwd slip-etcd slip-apiserver slip-kcm slip-scheduler | cut -d: -f1,3", "slip-etcd:64710\nslip-apiserver:64711\nslip-kcm:64712\nslip-scheduler:64713"},
		"etcd's directory on its volume":   {"stat -c '%U %a' /var/lib/etcd", "slip-etcd 700"},
		"the agent's directory":            {"stat -c '%U %a' /var/lib/slipway", "root 755"},
		"routing":                          {"cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/all/rp_filter", "1\n2"},
		"bridged frames pass iptables":     {"cat /proc/sys/net/bridge/bridge-nf-call-iptables", "1"},
		"the agent starts with the system": {"systemctl show -P WantedBy slipway-agent.service", "multi-user.target"},
		"the agent's unit":                 {"systemctl show -P Type -P Restart slipway-agent.service", "notify\nalways"},
		"the layer is read-only":           {"touch /usr/bin/slipway-agent 2>&1 | grep -c Read-only", "1"},
		"Zincati cannot run":               {"systemctl is-enabled zincati.service", "masked"},
		"nothing failed but perhaps us":    {"systemctl --failed --no-legend | grep -vc slipway-agent", "0"},
		"the generator made no complaint":  {"journalctl -b --no-pager | grep -c 'generator.*failed'", "0"},
	} {
		if got := in(tc.script); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
	t.Logf("agent: %s", in("systemctl show -P ActiveState -P SubState -P StatusText slipway-agent.service; journalctl -b -u slipway-agent --no-pager -n 5"))
}
