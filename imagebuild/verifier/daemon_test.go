package verifier_test

import (
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/client"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/components"
	"slipway.build/slipway/imagebuild/component"
	"slipway.build/slipway/imagebuild/lock"
)

// runtime is a containerd that runs.
type runtime struct {
	client *client.Client
	socket string
	hosts  string // directory that says how registries are reached
}

// rendered are containerd's files as a worker's plan has them.
func rendered(t *testing.T, v components.Verification, l *lock.Lock) map[string]string {
	t.Helper()
	cluster := components.Cluster{Lock: l, KubernetesVersion: "v1.36.3", Verification: v, APIAddress: "192.0.2.1"}
	files := map[string]string{}
	for _, c := range components.All(cluster, components.Node{Name: "n", Role: components.RoleWorker, PodCIDR: "10.100.1.0/24"}, "slipway/pause@sha256:0") {
		if c.Name == "containerd" {
			for _, f := range c.Files {
				files[f.Name] = f.Content
			}
		}
	}
	return files
}

// daemon starts the containerd of the lock with the configuration of a node; only its paths are the test's.
func daemon(t *testing.T, mode components.VerificationMode, l *lock.Lock, verifiers string) runtime {
	t.Helper()
	built, err := component.Build(t.Context(), component.Options{Sources: "../component/sources", Names: []string{"containerd"}})
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "slipt-verifier-") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	binary := filepath.Join(dir, "containerd")
	if err := component.Extract(built, "containerd", binary); err != nil {
		t.Fatal(err)
	}
	r := runtime{socket: filepath.Join(dir, "run", "containerd.sock"), hosts: filepath.Join(dir, "certs.d")}
	text := rendered(t, components.Verification{Mode: mode}, l)["config.toml"]
	for from, to := range map[string]string{
		`"/var/lib/containerd"`:           `"` + filepath.Join(dir, "root") + `"`,
		`"/run/containerd"`:               `"` + filepath.Join(dir, "run") + `"`,
		"/run/containerd/containerd.sock": r.socket,
		"/etc/containerd/certs.d":         r.hosts,
		plan.ImageVerifiers:               verifiers,
		path.Join(plan.Current, "files"):  filepath.Join(dir, "files"),
		path.Join(plan.Current, "roots"):  filepath.Join(dir, "roots"),
	} {
		if !strings.Contains(text, from) {
			t.Fatalf("the node's configuration lacks %s:\n%s", from, text)
		}
		text = strings.ReplaceAll(text, from, to)
	}
	config := filepath.Join(dir, "config.toml")
	put(t, config, []byte(text))
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(binary, "--config", config, "--log-level", "info")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			said, _ := os.ReadFile(log.Name())
			t.Logf("containerd: %s", said)
		}
	})
	r.client = connect(t, r.socket)
	return r
}

// connect waits for the daemon, which has to be the release that nodes run.
func connect(t *testing.T, socket string) *client.Client {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for {
		c, err := client.New(socket, client.WithTimeout(time.Minute))
		if err == nil {
			version, err := c.Version(t.Context())
			if err == nil {
				if version.Version != "v2.4.2" {
					t.Fatalf("containerd %s", version.Version)
				}
				t.Cleanup(func() { c.Close() })
				return c
			}
			c.Close()
		}
		if time.Now().After(deadline) {
			t.Fatalf("containerd does not answer: %v", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
