package component

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"slipway.build/slipway/imagebuild/buildcache"
)

// systemOf assembles what an image has beside its programs, and unpacks it from its tar stream.
func systemOf(t *testing.T, name, platform string) string {
	t.Helper()
	recipes, err := choose(Recipes(), []string{name})
	if err != nil {
		t.Fatal(err)
	}
	in, err := readInputs("sources", recipes[0], platform)
	if err != nil {
		t.Fatal(err)
	}
	sources, err := filepath.Abs("sources")
	if err != nil {
		t.Fatal(err)
	}
	j := job{in: in, builder: &builder{sources: sources, goCommand: "go", debianCache: debianDir(buildcache.Dir()), progress: &reporter{estimate: newEstimate(nil, 1)}}}
	contents, packages, err := j.system(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(packages) == 0 {
		t.Error("no package is named")
	}
	if err := sortContents(contents); err != nil {
		t.Fatal(err)
	}
	var stream bytes.Buffer
	if err := writeTar(&stream, contents); err != nil {
		t.Fatal(err)
	}
	if err := gateTar(bytes.NewReader(stream.Bytes()), contents); err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	untar(t, &stream, root)
	return root
}

func untar(t *testing.T, r io.Reader, root string) {
	t.Helper()
	tr := tar.NewReader(r)
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(root, h.Name)
		switch h.Typeflag {
		case tar.TypeDir:
			err = os.MkdirAll(name, 0o755)
		case tar.TypeSymlink:
			err = os.Symlink(h.Linkname, name)
		default:
			var data []byte
			if data, err = io.ReadAll(tr); err == nil {
				err = os.WriteFile(name, data, h.FileInfo().Mode())
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheSystemsOfImagesRun(t *testing.T) {
	if testing.Short() {
		t.Skip("fetches Debian packages; not in short mode")
	}
	if os.Geteuid() != 0 {
		t.Skip("chroot needs root")
	}
	roots := map[string]string{}
	for _, image := range []string{"calico-node", "cinder-csi-plugin"} {
		roots[image] = systemOf(t, image, HostPlatform())
	}
	for _, tt := range []struct {
		image, command, want string
	}{
		{"calico-node", "bird --version", "BIRD version 1.6"},
		{"calico-node", "bird6 --version", "BIRD version 1.6"},
		{"calico-node", "/usr/bin/birdcl -s /none", "Unable to connect to server control socket"},
		{"calico-node", "ipset --version", "ipset v7"},
		{"calico-node", "iptables --version", "iptables v1.8.9 (nf_tables)"},
		{"calico-node", "ip6tables-legacy-save --version", "v1.8.9 (legacy)"},
		{"calico-node", "iptables -m statistic --help", "statistic match options"},
		{"calico-node", "iptables -m set --help", "set match options"},
		{"calico-node", "conntrack --version", "conntrack v1.4"},
		{"calico-node", "sv status /none", "fail: /none"},
		{"calico-node", "sh -c 'mkdir -p /copy && cp -a /etc/service/available/felix /copy && [ -x /copy/felix/run ] && which runsvdir'", "/usr/bin/runsvdir"},
		{"calico-node", "sh -c 'grep -c krt_tunnel /etc/calico/confd/templates/bird_ipam.cfg.template; [ -x /etc/rc.local ] && [ -x /sbin/start_runit ] && echo yes'", "0\nyes"},
		{"cinder-csi-plugin", "mkfs.ext4 -q /dev/volume 4M", ""},
		{"cinder-csi-plugin", "fsck.ext4 -nf /dev/volume", "Pass 5"},
		{"cinder-csi-plugin", "dumpe2fs -h /dev/volume", "clean"},
		{"cinder-csi-plugin", "blkid -p -o value -s TYPE /dev/volume", "ext4"},
		{"cinder-csi-plugin", "mkfs.xfs -V", "mkfs.xfs version 6"},
		{"cinder-csi-plugin", "xfs_repair -V", "xfs_repair version 6"},
		{"cinder-csi-plugin", "mount --version", "util-linux 2.38"},
		{"cinder-csi-plugin", "umount --version", "util-linux 2.38"},
		{"cinder-csi-plugin", "findmnt --version", "util-linux 2.38"},
		{"cinder-csi-plugin", "udevadm --version", "252"},
		{"cinder-csi-plugin", "blockdev --version", "util-linux 2.38"},
	} {
		t.Run(tt.image+" "+tt.command, func(t *testing.T) {
			root := roots[tt.image]
			program, args := splitCommand(tt.command)
			cmd := exec.Command(program, args...)
			cmd.Path = lookIn(root, program)
			cmd.Dir, cmd.Err = "/", nil // it was not looked for on this machine
			cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "LC_ALL=C"}
			cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
			out, err := cmd.CombinedOutput()
			if !strings.Contains(string(out), tt.want) || tt.want == "" && err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}

func splitCommand(command string) (string, []string) {
	if rest, found := strings.CutPrefix(command, "sh -c "); found {
		return "sh", []string{"-c", strings.Trim(rest, "'")}
	}
	f := strings.Fields(command)
	return f[0], f[1:]
}

// lookIn finds a program in a root's directories, as the path that it has inside.
func lookIn(root, program string) string {
	for _, dir := range []string{"/usr/sbin/", "/usr/bin/"} {
		if _, err := os.Lstat(filepath.Join(root, dir, program)); err == nil {
			return dir + program
		}
	}
	return program
}

// The other platform's is assembled and gated, and cannot be run.
func TestTheSystemsOfTheOtherPlatformHoldTogether(t *testing.T) {
	if testing.Short() {
		t.Skip("fetches Debian packages; not in short mode")
	}
	for _, platform := range Platforms() {
		if platform == HostPlatform() {
			continue
		}
		for _, image := range []string{"calico-node", "cinder-csi-plugin"} {
			root := systemOf(t, image, platform)
			if names, err := filepath.Glob(filepath.Join(root, "usr/lib/*-linux-gnu/libc.so.6")); err != nil || len(names) != 1 {
				t.Errorf("%s for %s: C libraries %v", image, platform, names)
			}
		}
	}
}

func TestOnlyLinesThatMustGoAreTakenOutOfAFile(t *testing.T) {
	in := []byte("a\n  krt_tunnel = \"x\";\nb")
	if got := string(without(in, "krt_tunnel = ")); got != "a\nb" {
		t.Errorf("got %q", got)
	}
	if got := without(in, ""); !slices.Equal(got, in) {
		t.Errorf("got %q", got)
	}
}
