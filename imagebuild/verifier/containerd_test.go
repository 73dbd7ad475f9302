package verifier_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/transfer/image"
	transfer "github.com/containerd/containerd/v2/core/transfer/registry"
	"github.com/containerd/containerd/v2/pkg/namespaces"

	"slipway.build/slipway/components"
	"slipway.build/slipway/imagebuild/layout/layouttest"
	"slipway.build/slipway/imagebuild/registry"
	"slipway.build/slipway/imagebuild/verifier"
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

// foreign is a layout that has what a registry may have, which is nobody's proof: a name of ours with other bytes, and
// a tenant's image.
func foreign(t *testing.T) *layouttest.Fixture {
	t.Helper()
	f := layouttest.Empty(t)
	f.Add(t, "a", "v1.0.0", []layouttest.File{{Path: "usr/bin/a", Content: "another program\n"}})
	f.Add(t, "app", "v1", []layouttest.File{{Path: "app", Content: "a tenant's\n"}}).Repository = "team/app"
	f.Finish(t)
	index := filepath.Join(f.Dir, "index.json")
	text, err := os.ReadFile(index)
	if err != nil {
		t.Fatal(err)
	}
	put(t, index, []byte(strings.ReplaceAll(string(text), "slipway/app", "team/app")))
	return f
}

func serve(t *testing.T, dir string) string {
	t.Helper()
	server := httptest.NewServer(registry.New(dir))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// entry makes a directory with the verifier's program, which is told where the node's things are.
func entry(t *testing.T, n verifier.Node, policy string) (dir, file, script string) {
	t.Helper()
	script = fmt.Sprintf("#!/bin/sh\nexec %s -trust %s -lock %s -lock-keys %s -delivery %s -policy %s \"$@\"\n", program(t), n.Trust, n.Lock, n.Statement, n.Delivery, policy)
	dir = t.TempDir()
	file = filepath.Join(dir, "slipway")
	put(t, file, []byte(script))
	if err := os.Chmod(file, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir, file, script
}

func needRoot(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts containerd; not in short mode")
	}
	if os.Geteuid() != 0 {
		t.Skip("containerd needs root")
	}
}

func TestContainerdAsksTheVerifier(t *testing.T) {
	needRoot(t)
	f := layouttest.New(t)
	n := node(t, f, "")
	swapped := foreign(t)
	good, evil := serve(t, f.Dir), serve(t, swapped.Dir)

	verifiers, entry, script := entry(t, n, n.Policies[1])
	c := daemon(t, components.VerifyScoped, f.Lock, verifiers).client
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
