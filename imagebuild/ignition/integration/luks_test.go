package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"slipway.build/slipway/imagebuild/ignition/config"
	"slipway.build/slipway/imagebuild/ignition/luks"
	"slipway.build/slipway/imagebuild/ignition/render"
)

// image names the files behind the loop devices of these tests.
const image = "slipt-luks"

// loop makes a block device of 64 MiB, and frees what a killed run left.
func loop(t *testing.T) string {
	t.Helper()
	list, err := exec.Command("losetup", "--list", "--noheadings", "--output", "NAME,BACK-FILE").Output()
	if err != nil {
		t.Fatalf("losetup: %v", err)
	}
	for line := range strings.Lines(string(list)) {
		if f := strings.Fields(line); len(f) >= 2 && strings.Contains(f[1], image) {
			_ = exec.Command("losetup", "--detach", f[0]).Run()
		}
	}
	file := filepath.Join(t.TempDir(), image)
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, 64<<20); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("losetup", "--find", "--show", file).CombinedOutput()
	if err != nil {
		t.Skipf("this machine has no loop devices: %v: %s", err, out)
	}
	device := strings.TrimSpace(string(out))
	t.Cleanup(func() {
		if out, err := exec.Command("losetup", "--detach", device).CombinedOutput(); err != nil {
			t.Errorf("losetup: %v: %s", err, out)
		}
	})
	return device
}

// disks runs Ignition's stage disks alone. The socket of systemd and the aliases of devices are in
// a /run of its own.
const disks = `set -eu
mount -t tmpfs -o mode=0755 slipt /mnt
cat >/mnt/user-data
cp -r "$2" /mnt/sysroot
mount -t tmpfs -o mode=0755 slipt /run
mkdir -p /run/systemd /run/cryptsetup
ln -s "$3" /run/systemd/private
export IGNITION_CONFIG_FILE=/mnt/user-data
for stage in fetch disks; do
	"$1" --stage "$stage" --platform file --root /mnt/sysroot --log-to-stdout \
		--config-cache /mnt/config.json --state-file /mnt/state --neednet /mnt/neednet
done
`

func TestIgnitionMakesVolumesOfAES256(t *testing.T) {
	for _, p := range programs(t)[1:] { // the one of Fedora CoreOS; cryptsetup takes seconds to find its parameters
		t.Run(p.version, func(t *testing.T) {
			device := loop(t)
			r, err := render.Render(render.Request{Volumes: []luks.Volume{{Name: "slipt", Device: device, TPM2: true}}, Version: p.spec})
			if err != nil {
				t.Fatal(err)
			}
			c, entries := config.Parse("volume", r.UserData)
			if err := entries.Err(false); err != nil {
				t.Fatal(err)
			}
			c.Storage.Luks[0].Clevis.Tpm2, c.Storage.Luks[0].Clevis.Threshold = nil, nil // there is no TPM here
			text, err := config.Convert(c, p.spec)
			if err != nil {
				t.Fatal(err)
			}
			socket := filepath.Join(t.TempDir(), "private")
			systemd := waitForDevices(t, socket)
			cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", disks, "disks", p.path, sysroot(t), socket)
			cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"}
			cmd.Stdin = strings.NewReader(string(text))
			cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Cloneflags: syscall.CLONE_NEWPID}
			cmd.WaitDelay = time.Minute
			out, err := cmd.CombinedOutput()
			opened(t, string(out), err)
			if len(systemd.asked) != 1 || systemd.asked[0] != strings.ReplaceAll(device[1:], "/", "-")+".device" {
				t.Errorf("it waited for %q", systemd.asked)
			}
			dump, err := exec.Command("cryptsetup", "luksDump", device).CombinedOutput()
			if err != nil {
				t.Fatalf("no volume was made: %v: %s\n%s", err, dump, out)
			}
			for _, want := range []string{`Version:\s+2\n`, `Label:\s+slipt\n`, `0: crypt\n(?s:.*)cipher: aes-xts-plain64\n`, `0: luks2\n\s+Key:\s+512 bits\n`} {
				if !regexp.MustCompile(want).Match(dump) {
					t.Errorf("no %s in\n%s", want, dump)
				}
			}
		})
	}
}

// opened checks how far Ignition came: it opens what it has made, if the kernel has a device mapper.
func opened(t *testing.T, log string, err error) {
	t.Helper()
	misc, _ := os.ReadFile("/proc/misc")
	if strings.Contains(string(misc), "device-mapper") {
		if err != nil {
			t.Errorf("%v: %s", err, log)
		}
		if out, err := exec.Command("cryptsetup", "luksClose", "slipt").CombinedOutput(); err != nil {
			t.Errorf("luksClose: %v: %s", err, out)
		}
		return
	}
	if err == nil || !strings.Contains(log, "opening luks device") || !strings.Contains(log, "device-mapper") {
		t.Errorf("%v: %s", err, log)
	}
	t.Log("this kernel has no device mapper: the volume was made and not opened")
}
