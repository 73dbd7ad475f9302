package bundle_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"slipway.build/slipway/imagebuild/layout/layouttest"
)

// tool runs another program and returns what it said.
func tool(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v: %s (make test-deps installs it)", name, args, err, out)
	}
	return string(out)
}

func TestSkopeoReadsABundle(t *testing.T) {
	f := layouttest.New(t)
	path, dir := write(t, f), t.TempDir()
	tool(t, "skopeo", "copy", "--insecure-policy", "--override-arch", "amd64", "oci-archive:"+path+":slipway/b:v2.1.0", "dir:"+dir)
	text, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var m struct{ Config struct{ Digest string } }
	if err := json.Unmarshal(text, &m); err != nil || m.Config.Digest != f.Lock.ByName("b")[0].Platforms[0].Config {
		t.Errorf("skopeo found %s, %v", text, err)
	}
}

func TestPodmanReadsABundle(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("podman is asked as root")
	}
	f := layouttest.New(t)
	dir := t.TempDir()
	said := tool(t, "podman", "--root", filepath.Join(dir, "root"), "--runroot", filepath.Join(dir, "run"), "--storage-driver", "vfs",
		"pull", "-q", "--arch", "amd64", "oci-archive:"+write(t, f)+":slipway/a:v1.0.0")
	if want := strings.TrimPrefix(f.Lock.ByName("a")[0].Platforms[0].Config, "sha256:"); !strings.Contains(said, want) {
		t.Errorf("podman has %s, want %s", said, want)
	}
}

func TestContainerdImportsABundle(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("containerd needs root")
	}
	f := layouttest.New(t)
	dir, err := os.MkdirTemp("", "slipt-bundle-") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket, config := filepath.Join(dir, "sock"), filepath.Join(dir, "config.toml")
	text := fmt.Sprintf("version = 2\nroot = %q\nstate = %q\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\n  address = %q\n[ttrpc]\n  address = %q\n",
		filepath.Join(dir, "root"), filepath.Join(dir, "state"), socket, filepath.Join(dir, "ttrpc"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/usr/bin/containerd", "--config", config, "--log-level", "error")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Signal(syscall.SIGTERM); _ = cmd.Wait() })
	for deadline := time.Now().Add(2 * time.Minute); exec.Command("ctr", "-a", socket, "version").Run() != nil; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("containerd does not answer")
		}
	}
	tool(t, "ctr", "-a", socket, "images", "import", "--no-unpack", write(t, f))
	said := tool(t, "ctr", "-a", socket, "images", "ls")
	for _, img := range f.Lock.Images {
		if !strings.Contains(said, img.Repository+":"+img.Version) || !strings.Contains(said, img.Index) {
			t.Errorf("%s is missing: %s", img.Name, said)
		}
	}
	if strings.Count(said, "\n") != 3 {
		t.Errorf("what is attached was taken for images: %s", said)
	}
}
