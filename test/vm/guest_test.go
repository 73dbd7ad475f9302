//go:build vm

package vm

import (
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/agent/standalone"
	"slipway.build/slipway/agent/testimage"
	"slipway.build/slipway/imagebuild/component"
	"slipway.build/slipway/test/testnode"
)

const (
	nodeID  = "5f0c54a4-4d0c-4a3e-9d39-0d8f2a51f2aa"
	cluster = "0b9f1dbe-5f7e-4b3a-8a34-3cf6f6f3a001"

	planFile = "/var/lib/plans/plan.json"
	unitName = "slipway-etcd.service"
	user     = "slip-etcd"
	userID   = "64710" // by the OS layer's sysusers.d

	// hostAddress is what QEMU's user network calls this machine's loopback.
	hostAddress = "10.0.2.2"
)

// The limits of the plan, as the guest's kernel has to show them.
const (
	memoryMax = "268435456"
	tasksMax  = "128"
	cpuWeight = "400"
)

// confined is what etcd's service has beyond its root: the lines of the product's own unit.
const confined = `User=` + user + `
StateDirectory=etcd
StateDirectoryMode=0700
CapabilityBoundingSet=
ProtectSystem=strict
ProtectHome=read-only
ProtectProc=invisible
PrivateDevices=yes
PrivateIPC=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RemoveIPC=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
UMask=0077
TimeoutStartSec=10min
MemoryMax=256M
TasksMax=` + tasksMax + `
CPUWeight=` + cpuWeight + `
`

// etcd is the component's image, made of the very binary that the images' build gives.
func etcd(t *testing.T) *testimage.Image {
	t.Helper()
	root := repository(t)
	built, err := component.Build(t.Context(), component.Options{Sources: filepath.Join(root, "imagebuild", "component", "sources"), Names: []string{"etcd"}})
	must(t, err)
	file := filepath.Join(t.TempDir(), "etcd")
	must(t, component.Extract(built, "etcd", file))
	raw, err := os.ReadFile(file)
	must(t, err)
	return testimage.New(t, "etcd", testimage.Zstd, []testimage.File{{Path: "usr/bin/etcd", Content: raw}})
}

func repository(t *testing.T) string {
	t.Helper()
	out, err := run(context.Background(), "", "go", "env", "GOMOD")
	must(t, err)
	return filepath.Dir(out[:len(out)-1])
}

// delivery is the plan as the file has it: signed, with the lock and its signature.
func delivery(t *testing.T, image *testimage.Image, registry string, planKey *ecdsa.PrivateKey, text, signature []byte, digest string) []byte {
	t.Helper()
	const client, peer = "http://127.0.0.1:2379", "http://127.0.0.1:2380"
	p := &plan.Plan{
		Schema:     plan.Schema,
		Node:       plan.Node{ID: nodeID, Name: "node-0", Cluster: cluster, Role: "master", Address: "127.0.0.1"},
		Generation: 1, Deployment: "deployment-1",
		Registries: []string{registry},
		Images:     []plan.Image{{Name: "etcd", Repository: image.Locked.Repository, Digest: image.Platform().Manifest}},
		Units: []plan.Unit{{
			Name: unitName, Start: true,
			Text: testnode.Service("network.target", testnode.InRoot(unitName, "etcd"), confined),
			Exec: &plan.Exec{
				Image: "etcd", Binary: "usr/bin/etcd",
				Args: []string{"--data-dir=/var/lib/etcd", "--listen-client-urls=" + client, "--advertise-client-urls=" + client,
					"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer, "--initial-cluster=default=" + peer},
				Mounts: []string{"var/lib/etcd"},
				Ready:  &plan.Probe{URL: client + "/readyz"},
			},
		}},
		Deadline: plan.Duration(20 * time.Minute),
		Lock:     digest,
	}
	p.Issue(time.Now(), 24*time.Hour)
	envelope, err := plan.Seal(t.Context(), p, planKey)
	must(t, err)
	out, err := json.Marshal(protocol.Delivery{Envelope: envelope, LockBytes: text, LockSignature: signature})
	must(t, err)
	return out
}

// guest prepares the node's file system: the node OS, the kernel's modules, the plan, and a unit that reports and switches the
// machine off. The sum is the component's.
func guest(t *testing.T, k kernel) (r root, sum string) {
	t.Helper()
	planKey, planPublic := testimage.Key(t)
	lockKey, _ := testimage.Key(t)
	image := etcd(t)
	registry := testimage.NewRegistry(t, nil, image)
	address, err := url.Parse(registry.URL)
	must(t, err)
	text, signature, digest := testimage.Lock(t, lockKey, image)
	r = newRoot(t, text, signature, lockKey)
	inside := "http://" + hostAddress + ":" + address.Port()
	for name, content := range map[string]string{
		plan.AgentConfig: "node: " + nodeID + "\n",
		filepath.Join(filepath.Dir(plan.AgentConfig), standalone.KeysFile): string(planPublic),
		planFile: string(delivery(t, image, inside, planKey, text, signature, digest)),
		"/etc/systemd/system/slipt-network.service":              network,
		"/etc/systemd/system/slipt-report.service":               reportUnit,
		"/etc/systemd/system/slipway-agent.service.d/slipt.conf": "[Service]\nExecStart=\nExecStart=" + plan.AgentBinary + " run --plan " + planFile + "\n",
		"/etc/fstab": "/dev/nvme0n1 / ext4 defaults 0 0\n",
	} {
		r.write(t, name, content, 0o644)
	}
	r.write(t, "/usr/libexec/slipt-report", reportScript, 0o755)
	for _, unit := range []string{"slipt-network.service", "slipt-report.service"} {
		r.enable(t, unit)
	}
	_, err = run(t.Context(), "", "cp", "-a", filepath.Join(k.tree, "lib", "modules"), r.path("/usr/lib/"))
	must(t, err)
	return r, image.Platform().Files[0].SHA256
}

const network = `[Unit]
Description=The emulator's user network
Before=slipway-agent.service network.target
DefaultDependencies=no
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/sbin/modprobe virtio_pci
ExecStart=/sbin/modprobe virtio_net
ExecStart=/bin/sh -c 'i=0; until [ -e /sys/class/net/eth0 ]; do i=$((i+1)); [ $i -gt 600 ] && exit 1; sleep 0.1; done'
ExecStart=/sbin/ip link set lo up
ExecStart=/sbin/ip link set eth0 up
ExecStart=/sbin/ip address add 10.0.2.15/24 dev eth0
ExecStart=/sbin/ip route add default via 10.0.2.2
`

const reportUnit = `[Unit]
Description=Report on the serial line
After=slipway-agent.service
[Service]
Type=oneshot
ExecStart=/usr/libexec/slipt-report
ExecStopPost=/bin/systemctl --no-block poweroff
StandardOutput=tty
TTYPath=/dev/ttyS0
TimeoutStartSec=40min
`

// reportScript is the test's own eye in the guest: it waits for the component and prints what the
// kernel says, one fact a line.
const reportScript = `#!/bin/sh
say() { echo "slipt $1 = $2"; }
i=0
until systemctl is-active --quiet ` + unitName + `; do
  i=$((i+1)); [ $i -gt 1200 ] && { journalctl --no-pager -n 60; systemctl status --no-pager ` + unitName + `; break; }
  sleep 1
done
main=$(systemctl show --value --property=MainPID ` + unitName + `)
pid=$(cat /proc/$main/task/$main/children | awk '{print $1}')
group=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/$pid/cgroup)
say kernel "$(uname -r)"
say init "$(cat /proc/1/comm)"
say cgroup "$(stat -f -c %T /sys/fs/cgroup)"
say controllers "$(cat /sys/fs/cgroup/cgroup.controllers)"
say v1 "$(awk '$3 == "cgroup"' /proc/mounts | wc -l)"
say group "$group"
say sha256 "$(sha256sum /proc/$pid/exe | awk '{print $1}')"
say memory.max "$(cat $group/memory.max)"
say memory.current "$(cat $group/memory.current)"
say pids.max "$(cat $group/pids.max)"
say cpu.weight "$(cat $group/cpu.weight)"
for f in Uid CapEff CapBnd CapPrm NoNewPrivs Seccomp; do say $f "$(sed -n "s/^$f:[[:space:]]*//p" /proc/$pid/status)"; done
say root "$(ls /proc/$pid/root | tr '\n' ' ')"
say selinux "$(cat /sys/fs/selinux/enforce 2>/dev/null || echo none)"
say policy "$(sed -n 's/^SELINUXTYPE=//p' /etc/selinux/config)"
# A program of a confined domain must not do what its domain may not: the policy is seen to refuse.
runcon system_u:system_r:syslogd_t:s0 /bin/cat /etc/hostname > /dev/null 2>&1; say refused "$([ $? -ne 0 ] && echo 1 || echo 0)"
label() { tr -d '\0' < /proc/$1/attr/current 2>/dev/null; }
say domain.init "$(label 1)"
say domain.agent "$(label $(systemctl show --value --property=MainPID slipway-agent.service))"
say domain.supervisor "$(label $main)"
say domain.component "$(label $pid)"
say file.agent "$(stat -c %C /usr/bin/slipway-agent)"
say file.component "$(stat -L -c %C /proc/$pid/exe)"
say file.images "$(stat -c %C /var/lib/slipway/images)"
say file.generations "$(stat -c %C /var/lib/slipway/generations)"
say file.pki "$(stat -c %C /var/lib/slipway/pki 2>/dev/null || echo none)"
say failed "$(systemctl --failed --no-legend --plain | awk '{print $1}' | tr '\n' ' ')"
` + plan.AgentBinary + ` verify > /run/verify 2>&1; say verify "$?"
cat /run/verify
dmesg | sed -n 's/.*avc:  denied/slipt-denied/p'
say end 1
`
