package verifier_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/transfer/image"
	transfer "github.com/containerd/containerd/v2/core/transfer/registry"
	"github.com/containerd/containerd/v2/pkg/namespaces"

	"slipway.build/slipway/imagebuild/component"
	"slipway.build/slipway/imagebuild/layout/layouttest"
	"slipway.build/slipway/imagebuild/registry"
)

// program builds the verifier's program.
func program(t *testing.T) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "slipway-image-verifier")
	cmd := exec.Command("go", "build", "-o", to, "slipway.build/slipway/cmd/slipway-image-verifier")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return to
}

// daemon starts the containerd of the lock with its verifiers in a directory, and returns a client of its.
func daemon(t *testing.T, verifiers string) *client.Client {
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
	config := filepath.Join(dir, "config.toml")
	put(t, config, fmt.Appendf(nil, `version = 3
root = %q
state = %q
disabled_plugins = ["io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri", "io.containerd.nri.v1.nri"]
[grpc]
  address = %q
[ttrpc]
  address = %q
[plugins."io.containerd.image-verifier.v1.bindir"]
  bin_dir = %q
  per_verifier_timeout = "60s"
`, filepath.Join(dir, "root"), filepath.Join(dir, "state"), filepath.Join(dir, "sock"), filepath.Join(dir, "ttrpc"), verifiers))
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
	deadline := time.Now().Add(2 * time.Minute)
	for {
		c, err := client.New(filepath.Join(dir, "sock"), client.WithTimeout(time.Minute))
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

// pull pulls an image through the transfer service, as kubelet's pulls go.
func pull(t *testing.T, c *client.Client, name string) error {
	t.Helper()
	ctx := namespaces.WithNamespace(context.Background(), "slipt")
	from, err := transfer.NewOCIRegistry(ctx, name, transfer.WithDefaultScheme("http"))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Transfer(ctx, from, image.NewStore(name)); err != nil {
		return err
	}
	_, err = c.GetImage(ctx, name)
	return err
}

func TestContainerdAsksTheVerifier(t *testing.T) {
	if testing.Short() {
		t.Skip("starts containerd; not in short mode")
	}
	if os.Geteuid() != 0 {
		t.Skip("containerd needs root")
	}
	f := layouttest.New(t)
	n := node(t, f, "")
	// What a registry has is nobody's proof: the same name, and a tenant's image, from another layout.
	swapped := layouttest.Empty(t)
	swapped.Add(t, "a", "v1.0.0", []layouttest.File{{Path: "usr/bin/a", Content: "another program\n"}})
	swapped.Add(t, "app", "v1", []layouttest.File{{Path: "app", Content: "a tenant's\n"}}).Repository = "team/app"
	swapped.Finish(t)
	text, err := os.ReadFile(filepath.Join(swapped.Dir, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(swapped.Dir, "index.json"), []byte(strings.ReplaceAll(string(text), "slipway/app", "team/app")))
	serve := func(dir string) string {
		server := httptest.NewServer(registry.New(dir))
		t.Cleanup(server.Close)
		return strings.TrimPrefix(server.URL, "http://")
	}
	good, evil := serve(f.Dir), serve(swapped.Dir)

	verifiers, binary := t.TempDir(), program(t)
	script := fmt.Sprintf("#!/bin/sh\nexec %s -trust %s -lock %s -lock-keys %s -delivery %s -policy %s \"$@\"\n", binary, n.Trust, n.Lock, n.Statement, n.Delivery, n.Policy)
	entry := filepath.Join(verifiers, "slipway")
	put(t, entry, []byte(script))
	if err := os.Chmod(entry, 0o755); err != nil {
		t.Fatal(err)
	}
	c := daemon(t, verifiers)
	expect := func(what, name string, wants ...string) {
		t.Helper()
		err := pull(t, c, name)
		if len(wants) == 0 {
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
			return
		}
		if err == nil {
			t.Errorf("%s: pulled", what)
			return
		}
		for _, want := range wants {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if _, err := c.GetImage(namespaces.WithNamespace(t.Context(), "slipt"), name); err == nil {
			t.Errorf("%s: refused, and it is there", what)
		}
	}
	a, other := f.Lock.ByName("a")[0], swapped.Lock.ByName("a")[0]
	expect("an image of the lock by tag", good+"/slipway/a:v1.0.0")
	expect("an image of the lock by digest", good+"/slipway/a@"+a.Platforms[0].Manifest)
	expect("the same name with another digest", evil+"/slipway/a:v1.0.0", "rejected image", other.Index+" is in no lock that counts here (baked lock 7)")
	expect("a tenant's image", evil+"/team/app:v1")

	// A program that is broken or gone refuses everything, tenants' images included.
	if err := os.Chmod(entry, 0o644); err != nil {
		t.Fatal(err)
	}
	expect("a program that cannot be executed", good+"/slipway/b:v2.1.0", "failed to call verifier")
	remove(t, entry)
	if err := os.Symlink("../gone", entry); err != nil {
		t.Fatal(err)
	}
	expect("a program that is gone, its link is there", good+"/slipway/b:v2.1.0", "failed to call verifier")
	remove(t, entry)
	put(t, entry, []byte(script))
	if err := os.Chmod(entry, 0o755); err != nil {
		t.Fatal(err)
	}
	remove(t, filepath.Join(n.Lock, "images.yaml.sig"))
	expect("a lock without its signature", good+"/slipway/b:v2.1.0", "rejected image", "images.yaml.sig")

	// containerd's own rule, which docs/trust.md tells: without any entry in the directory it asks nobody.
	remove(t, entry)
	expect("an empty directory", evil+"/slipway/a:v1.0.0")
}
