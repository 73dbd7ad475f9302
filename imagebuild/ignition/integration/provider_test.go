package integration

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"slipway.build/slipway/agent/protocol"
	"slipway.build/slipway/imagebuild/ignition"
	"slipway.build/slipway/imagebuild/ignition/render"
)

// Where the servers of a cloud are.
const (
	metadata = "169.254.169.254:80"
	files    = "192.0.2.10:8080"
)

// firstBoot is what the initial RAM disk of Fedora CoreOS does on OpenStack: Ignition's stages, one
// after the other, on a file system below /mnt. The helper that changes kernel arguments is Fedora
// CoreOS's own; here one takes its place that writes down what it is told.
const firstBoot = `set -eu
umask 022
mount -t tmpfs -o mode=0755 slipt /mnt
mkdir /mnt/sysroot /mnt/bin
mount --rbind "$2" /mnt/sysroot
ln -s /bin/true /mnt/bin/setfiles
printf '#!/bin/sh\nprintf "%%s\\n" "$*" >>/mnt/sysroot/kargs\n' >/mnt/bin/ignition-kargs-helper
chmod +x /mnt/bin/ignition-kargs-helper
export PATH="/mnt/bin:$PATH"
for stage in fetch-offline fetch kargs disks files; do
	"$1" --stage "$stage" --platform openstack --root /mnt/sysroot --log-to-stdout \
		--config-cache /mnt/config.json --state-file /mnt/state --neednet /mnt/neednet
	[ "$stage" != fetch-offline ] || [ -e /mnt/neednet ]
done
`

// cloud answers in a network name space of its own: user data at the metadata service, files
// elsewhere.
type cloud struct {
	userData []byte
	files    map[string][]byte

	mu   sync.Mutex
	seen []*http.Request
}

func (c *cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	c.seen = append(c.seen, r)
	c.mu.Unlock()
	switch b, ok := c.files[r.URL.Path]; {
	case r.URL.Path == "/openstack/latest/user_data" && r.Host == "169.254.169.254":
		_, _ = w.Write(c.userData)
	case ok && r.Host == files:
		_, _ = w.Write(b)
	default:
		http.NotFound(w, r)
	}
}

// boot runs the stages and returns Ignition's log.
func (c *cloud) boot(t *testing.T, p program, root string) (log string, err error) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with its name space
		log, err = c.bootHere(t, p, root)
	}()
	<-done
	return log, err
}

func (c *cloud) bootHere(t *testing.T, p program, root string) (string, error) {
	if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
		return "", fmt.Errorf("unshare: %w", err)
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return "", err
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return "", err
	}
	server := &http.Server{Handler: c}
	var serving sync.WaitGroup
	defer serving.Wait()
	defer server.Close()
	for _, at := range []string{metadata, files} {
		host, _, _ := net.SplitHostPort(at)
		a, err := netlink.ParseAddr(host + "/32")
		if err != nil {
			return "", err
		}
		if err := netlink.AddrAdd(lo, a); err != nil {
			return "", err
		}
		l, err := net.Listen("tcp4", at)
		if err != nil {
			return "", err
		}
		serving.Go(func() { _ = server.Serve(l) })
	}
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", firstBoot, "boot", p.path, root)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Cloneflags: syscall.CLONE_NEWPID}
	cmd.WaitDelay = time.Minute
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func request(p program, text string) render.Request {
	return render.Request{
		File: "x.bu", Butane: []byte(text), Version: p.spec, KernelArguments: []string{"quiet", "console=ttyS0"},
		Node: &ignition.Node{Hostname: "k8s-x-master-0", Agent: protocol.AgentConfig{ControlPlane: "https://a.example:9512", CA: "CA", Node: "6f1c", Token: "one-time-1234567890"}},
	}
}

func TestAFirstBootOnOpenStack(t *testing.T) {
	for _, p := range programs(t) {
		t.Run(p.version, func(t *testing.T) {
			r, err := render.Render(request(p, everything()))
			if err != nil {
				t.Fatal(err)
			}
			root := sysroot(t)
			c := &cloud{userData: r.UserData}
			if log, err := c.boot(t, p, root); err != nil {
				t.Fatalf("%v: %s", err, log)
			}
			check(t, root, written())
			check(t, root, map[string]string{"etc/hostname": "k8s-x-master-0\n", "kargs": "--should-exist quiet --should-exist console=ttyS0\n"})
			if b, err := os.ReadFile(filepath.Join(root, "etc/slipway/agent.yaml")); err != nil || !strings.Contains(string(b), "token: one-time-1234567890") {
				t.Errorf("agent.yaml: %s, %v", b, err)
			}
			for _, r := range c.seen {
				if !strings.HasPrefix(r.UserAgent(), "Ignition/") || !strings.Contains(r.UserAgent(), p.version) ||
					!strings.HasPrefix(r.Header.Get("Accept"), "application/vnd.coreos.ignition+json;version="+p.spec) {
					t.Errorf("%s asks for %s and takes %q", r.UserAgent(), r.URL, r.Header.Get("Accept"))
				}
			}
			if len(c.seen) == 0 {
				t.Error("nothing was asked for")
			}
		})
	}
}

// large is a configuration that must be split.
func large() (text, noise string) {
	r := rand.New(rand.NewPCG(3, 4))
	var b bytes.Buffer
	for b.Len() < 80000 {
		b.WriteByte("0123456789abcdefghijklmnopqrstuvwxyz"[r.IntN(36)])
	}
	return strings.Replace(everything(), "  files:\n", "  files:\n    - path: /etc/noise\n      contents: {inline: "+b.String()+"}\n", 1), b.String()
}

func TestWhatWasSplitComesTogetherAtTheFirstBoot(t *testing.T) {
	text, noise := large()
	for _, p := range programs(t) {
		t.Run(p.version, func(t *testing.T) {
			req := request(p, text)
			req.URL = "http://" + files + "/rest.ign"
			r, err := render.Render(req)
			if err != nil {
				t.Fatal(err)
			}
			if r.Rest == nil || len(r.UserData) > 2000 || bytes.Contains(r.Rest, []byte("one-time")) {
				t.Fatalf("user data have %d bytes, the rest %d", len(r.UserData), len(r.Rest))
			}
			root := sysroot(t)
			c := &cloud{userData: r.UserData, files: map[string][]byte{"/rest.ign": r.Rest}}
			if log, err := c.boot(t, p, root); err != nil {
				t.Fatalf("%v: %s", err, log)
			}
			check(t, root, written())
			check(t, root, map[string]string{"etc/hostname": "k8s-x-master-0\n", "etc/noise": noise, "kargs": "--should-exist quiet --should-exist console=ttyS0\n"})

			damaged := bytes.Clone(r.UserData)
			at := bytes.Index(damaged, []byte(r.Hash)) + len("sha256-")
			if damaged[at]++; damaged[at] > 'f' || damaged[at] == ':' {
				damaged[at] = '0'
			}
			root = sysroot(t)
			c.userData = damaged
			log, err := c.boot(t, p, root)
			if err == nil || !strings.Contains(log, "hash verification failed") {
				t.Errorf("another hash: %v: %s", err, log)
			}
			if _, err := os.Stat(filepath.Join(root, "etc/hostname")); err == nil {
				t.Error("and yet files were written")
			}
		})
	}
}
