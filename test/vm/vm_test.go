//go:build vm

package vm

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// selinux are the kernel's parameters for a policy that holds.
const selinux = "security=selinux selinux=1 enforcing=1"

// limit bounds a boot, a pull and a start in an emulated machine beside other work.
const limit = 45 * time.Minute

// disk makes an ext4 image of the tree, with its owners, modes and labels.
func disk(t *testing.T, r root) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "disk.img")
	f, err := os.Create(file)
	must(t, err)
	must(t, f.Truncate(3<<30)) // sparse
	must(t, f.Close())
	_, err = run(t.Context(), "", "mke2fs", "-q", "-F", "-t", "ext4", "-d", r.dir, file)
	must(t, err)
	return file
}

// boot runs the machine until it switches itself off, and returns what its serial line said.
func boot(t *testing.T, k kernel, file string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", "1536", "-smp", "2",
		"-display", "none", "-no-reboot", "-monitor", "none", "-serial", "stdio",
		"-kernel", k.image, "-append", "root=/dev/nvme0n1 rw console=ttyS0 net.ifnames=0 panic=-1 init=/usr/lib/systemd/systemd "+selinux,
		"-drive", "file="+file+",format=raw,if=none,id=root,cache=unsafe", "-device", "nvme,drive=root,serial=root",
		"-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net", "-device", "virtio-rng-pci")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if err != nil {
		t.Fatalf("the machine ended by %v; its serial line:\n%s", err, tail(out.String()))
	}
	return out.String()
}

var fact = regexp.MustCompile(`slipt ([A-Za-z0-9.]+) = (.*)`)

func facts(console string) map[string]string {
	all := map[string]string{}
	scan := bufio.NewScanner(strings.NewReader(console))
	for scan.Scan() {
		if m := fact.FindStringSubmatch(strings.TrimRight(scan.Text(), "\r")); m != nil {
			all[m[1]] = strings.TrimSpace(m[2])
		}
	}
	return all
}

// TestTheNodeOSInAVirtualMachine boots once and holds what the guest's kernel says against the
// plan.
func TestTheNodeOSInAVirtualMachine(t *testing.T) {
	k := newKernel(t)
	r, sum := guest(t, k)
	r.label(t, newPolicy(t))
	console := boot(t, k, disk(t, r))
	got := facts(console)
	for name, want := range map[string]string{
		"kernel": k.version, "init": "systemd", "cgroup": "cgroup2fs", "v1": "0",
		"sha256": sum, "memory.max": memoryMax, "pids.max": tasksMax, "cpu.weight": cpuWeight,
		"CapEff": "0000000000000000", "CapBnd": "0000000000000000", "CapPrm": "0000000000000000",
		"NoNewPrivs": "1", "Seccomp": "2", "Uid": strings.Repeat(userID+"\t", 3) + userID, "verify": "0", "end": "1",
		"selinux": "1", "policy": "default", "refused": "1",
		"file.images": "system_u:object_r:bin_t:s0", "file.component": "system_u:object_r:bin_t:s0",
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	for name, value := range got {
		t.Logf("%s = %s", name, value)
	}
	for line := range strings.Lines(console) {
		if strings.HasPrefix(line, "slipt-denied") {
			t.Log(strings.TrimSpace(line))
		}
	}
	if t.Failed() {
		t.Logf("serial line:\n%s", tail(console))
	}
}
